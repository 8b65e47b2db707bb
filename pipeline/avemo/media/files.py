"""What a media file says of itself before any decoder sees it: whether it is one, how long it ought to be."""

from __future__ import annotations

from pathlib import Path

from avemo.base.contracts import ClipFailure, Status

LFS_HEADER = b"version https://git-lfs"


def check_file(path: Path, clip_id: str) -> None:
    """Raise `ClipFailure` unless ``path`` is a file with bytes of its own."""
    if not path.is_file():
        raise ClipFailure(Status.missing_file, clip_id, f"expected a media file, found none at {path}")
    size = path.stat().st_size
    if size == 0:
        raise ClipFailure(Status.empty_file, clip_id, f"expected media, found 0 bytes in {path}")
    if size < 1024 and path.read_bytes().startswith(LFS_HEADER):
        raise ClipFailure(Status.lfs_pointer, clip_id, f"expected media, found a Git LFS pointer in {path}")


def check_length(path: Path, clip_id: str) -> None:
    """Raise `ClipFailure` if ``path`` is shorter than its header says, which a copy cut short is."""
    declared, size = _declared_bytes(path), path.stat().st_size
    if declared and size < declared:
        detail = f"expected the {declared} bytes that the header declares, found {size} in {path}"
        raise ClipFailure(Status.truncated, clip_id, detail)


def _declared_bytes(path: Path) -> int | None:
    """How long a WAV or AVI file says it is at least; None where it says nothing."""
    with path.open("rb") as file:
        name, size = file.read(4), int.from_bytes(file.read(4), "little")
    # Writers to a pipe cannot know; some count the 8 bytes up to the field's end, some do not.
    return size if name == b"RIFF" and size < 0xFFFF_FFFF else None


def mp4_bytes(path: Path) -> int:
    """Bytes that an MP4's outermost boxes promise; 0 for other files.

    An MP4 whose index comes last cannot be opened at all when its end is missing.
    """
    end, total = 0, path.stat().st_size
    with path.open("rb") as file:
        while end < total:
            file.seek(end)
            head = file.read(16)
            if end == 0 and head[4:8] != b"ftyp":
                return 0
            size = int.from_bytes(head[:4], "big")
            if size == 1:
                size = int.from_bytes(head[8:16], "big")
            if size < 8:
                return total
            end += size
    return end
