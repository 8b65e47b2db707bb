"""What a media file says of itself before any decoder sees it: whether it is one, how long it ought to be."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from avemo.base.contracts import ClipFailure, MachineError, Status
from avemo.base.passing import EXHAUSTED

LFS_HEADER = b"version https://git-lfs"
SOUND_SUFFIXES = {
    *(
        ".wav",
        ".flac",
        ".mp3",
        ".m4a",
        ".ogg",
        ".opus",
        ".aac",
        ".aif",
        ".aiff",
        ".aifc",
        ".au",
        ".snd",
        ".caf",
        ".wma",
    ),
    *(".mka", ".oga", ".amr", ".ac3", ".w64", ".rf64", ".wv", ".ape", ".sph"),
}
"""Names of sound alone: for files that cannot be asked for their streams."""
VIDEO_SUFFIXES = {
    ".mkv",
    ".flv",
    ".ts",
    ".mts",
    ".m2ts",
    ".mpg",
    ".vob",
    ".wmv",
    ".webm",
    ".3gp",
    ".m4v",
    ".mxf",
    ".ogv",
}
"""Further names of media that `mimetypes` may not know."""
SCRIPTS = {
    b"ffconcat": "a list of other files (ffconcat)",
    b"#extm3u": "a playlist (M3U, HLS)",
    b"[playlist]": "a playlist (PLS)",
    b"<": "a text in XML (a manifest of segments, say)",
    b"v=0": "the description of a broadcast (SDP)",
}
"""Beginnings of texts that make a demuxer open other files."""
HEAD = 1024
"""Bytes looked at."""
EBML, SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
"""What a Matroska file begins with, and what its one large element does (RFC 8794, RFC 9559)."""
ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP}
PLACEHOLDERS = ((0x7FFF_0000, 0x8000_FFFF), (0xFFFF_0000, 0xFFFF_FFFF))
"""Sizes from, to: what writers to a pipe put where they cannot know the size, some with a header's length added."""


def check_file(path: Path, clip_id: str) -> None:
    """Raise `ClipFailure` unless ``path`` is a file that can be read and has bytes of its own."""
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            raise ClipFailure(
                Status.missing_file, clip_id, f"expected a media file, found something else at {path}"
            )
        with path.open("rb") as file:
            head = file.read(HEAD)
    except (OSError, ValueError) as error:
        raise unread(path, clip_id, error) from error
    if found.st_size == 0:
        raise ClipFailure(Status.empty_file, clip_id, f"expected media, found 0 bytes in {path}")
    if found.st_size < HEAD and head.startswith(LFS_HEADER):
        raise ClipFailure(Status.lfs_pointer, clip_id, f"expected media, found a Git LFS pointer in {path}")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for beginning, what in SCRIPTS.items():
        if text.startswith(beginning):
            raise ClipFailure(Status.not_media, clip_id, f"expected media, found {what} in {path}")


def unread(path: Path, clip_id: str, error: Exception) -> ClipFailure:
    """What it means for a clip that the system refuses its file; raises `MachineError` where no file is to blame."""
    number = getattr(error, "errno", None)
    if number in EXHAUSTED:
        raise MachineError(f"{clip_id}: {path} cannot be opened: {error}; free memory or files") from error
    # A ValueError is of a name that no file can have.
    if number in ABSENT or number is None:
        why = "" if number == errno.ENOENT else f" ({os.strerror(number) if number else error})"
        return ClipFailure(
            Status.missing_file, clip_id, f"expected a media file, found none at {_short(path)}{why}"
        )
    return ClipFailure(
        Status.no_access, clip_id, f"expected a file to read, found {os.strerror(number)!r} at {path}"
    )


def _short(path: Path) -> str:
    """A path that fits a line."""
    name = str(path)
    return name if len(name) <= 255 else f"{name[:100]!r}… ({len(os.fsencode(name))} bytes)"


def promised_bytes(path: Path) -> int | None:
    """How long a WAV, AVI or Matroska file says it is; None where it says nothing, as when it was written to a pipe."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if head[:4] == b"RIFF":
        size = int.from_bytes(head[4:8], "little")
        placed = size == 0 or any(low <= size <= high for low, high in PLACEHOLDERS)
        return None if placed else size + 8
    at = head.find(SEGMENT)
    if head[:4] != EBML or at < 0 or at + 12 > len(head):
        return None
    # The size's leading zeros tell its own length; all ones stand for unknown.
    at += len(SEGMENT)
    length = 9 - head[at].bit_length()
    size = int.from_bytes(head[at : at + length], "big") & ((1 << 7 * length) - 1)
    return None if length > 8 or size + 1 == 1 << 7 * length else at + length + size


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
