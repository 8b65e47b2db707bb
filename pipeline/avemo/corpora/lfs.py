"""What a clone's Git LFS pointers declare: the size each file has when it has been pulled whole."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:[0-9a-f]{64}\nsize (\d+)\n")

POINTER_BYTES = 200
"""No pointer is longer."""


def declared_sizes(root: Path, folders: tuple[str, ...]) -> dict[Path, int]:
    """Bytes of each file below ``folders`` whose committed form is a pointer; nothing where ``root`` is no clone."""
    tree = _git(root, "ls-tree", "-r", "-z", "HEAD", "--", *folders)
    entries = [entry.split(b"\t", 1) for entry in tree.split(b"\0") if entry]
    hashes = [head.split()[2] for head, _ in entries]
    blobs = _git(root, "cat-file", "--batch", given=b"\n".join(hashes) + b"\n") if hashes else b""
    sizes = {}
    for _, name in entries:
        header, blobs = blobs.split(b"\n", 1)
        length = int(header.split()[2])
        if pointer := POINTER.match(blobs[:length]):
            sizes[root / name.decode()] = int(pointer[1])
        blobs = blobs[length + 1 :]
    return sizes


def _git(root: Path, *arguments: str, given: bytes = b"") -> bytes:
    """Standard output; nothing where git, or a repository whose top is ``root``, is not there."""
    if not (root / ".git").exists():
        return b""
    try:
        return subprocess.run(
            ["git", "-C", str(root), *arguments], input=given, capture_output=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return b""
