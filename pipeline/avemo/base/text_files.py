"""Texts that people wrote, whatever their editor made of them: read where their encoding can be told, else refused by name."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from avemo.base.contracts import AvemoError

MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""What a text may begin with; the longer ones first."""
OTHERS = {
    b"PK\x03\x04": "an Excel workbook or a ZIP archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "a gzip archive",
    b"\x89HDF": "an HDF5 file",
    b"PAR1": "a Parquet file",
    b"%PDF": "a PDF",
    b"SQLite format 3\0": "an SQLite database",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"\x1aE\xdf\xa3": "a Matroska or WebM file",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive",
}
HEAD = 1024


def encoding_of(path: Path) -> str:
    """How a text file is encoded, by its mark or by where its zeros are; UTF-8 where nothing says otherwise.

    Raises `AvemoError` for a file that is no text at all, `OSError` as the system does.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
    for beginning, what in OTHERS.items():
        if head.startswith(beginning):
            raise AvemoError(f"{path}: expected a text, found {what}; save it as text (CSV UTF-8)")
    for mark, encoding in MARKS.items():
        if head.startswith(mark):
            return encoding
    # Every other byte of a text in mostly Latin letters is zero.
    for offset, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(head) >= 4 and head[offset::2].count(0) > 0.4 * len(head):
            return encoding
    return "utf-8"


def read_text(path: Path) -> str:
    """A text file whole. Raises `AvemoError` as `stream_lines` does, `OSError` as the system does."""
    return "".join(stream_lines(path))


def stream_lines(path: Path) -> Iterator[str]:
    """A text file's lines, ends as they are. Raises `AvemoError` naming the line of what is no text in its encoding."""
    encoding = encoding_of(path)
    try:
        with path.open(encoding=encoding, newline="") as file:
            for number, line in enumerate(file, start=1):
                if "\0" in line:
                    raise AvemoError(
                        f"{path}, line {number}: expected text, found a NUL character; take it out"
                    )
                yield line
    except UnicodeError as error:
        raise AvemoError(_undecodable(path, encoding)) from error


def _undecodable(path: Path, encoding: str) -> str:
    """Where a file's first byte is that is wrong in its encoding, and what it might be instead."""
    content = path.read_bytes()
    try:
        content.decode(encoding)
    except UnicodeDecodeError as error:
        line, byte = content.count(b"\n", 0, error.start) + 1, content[error.start]
        meant = bytes([byte]).decode("cp1252", errors="replace")
        guess = f", {meant!r} in Windows-1252 or Latin-1" if meant.isprintable() and meant != "\ufffd" else ""
        found = f"found byte 0x{byte:02x}{guess}"
        return f"{path}, line {line}: expected {encoding.upper()}, {found}; save the file as UTF-8 (in Excel: CSV UTF-8)"
    return f"{path}: expected {encoding.upper()}, found other bytes; save the file as UTF-8"
