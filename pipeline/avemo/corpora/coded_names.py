"""Corpora whose files say all in their names: found wherever they lie below a folder, each name once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from avemo.base.contracts import AvemoError
from avemo.corpora.base import Corpus

HIDDEN = "."
"""Begins names that copies leave behind, such as macOS' ``._03-01-…``."""


class CodedNames(Corpus):
    """A corpus that is a folder of files with coded names; mirrors lay them out in many ways."""

    pattern: re.Pattern[str]
    """Of a file's name without its suffix, in small letters."""
    suffixes: tuple[str, ...]
    example: str
    """A name, for people."""

    @cached_property
    def _found(self) -> dict[tuple[str, str], list[Path]]:
        """The files that there are, by name and suffix; raises `AvemoError` for no folder."""
        if not self.root.is_dir():
            raise AvemoError(
                f"{self.root}: expected the folder of {self.name}, found none; correct corpus.config.root"
            )
        found: dict[tuple[str, str], list[Path]] = {}
        for path in sorted(files_below(self.root)):
            suffix = path.suffix.lower()
            if suffix in self.suffixes and (name := self.named(path)):
                found.setdefault((name, suffix), []).append(path)
        return found

    def named(self, path: Path) -> str:
        """The name that a file goes by, "" where it is none of the corpus': its own in small letters.

        Corpora whose folders tell what their files' names do not have it from both.
        """
        stem = path.stem.lower()
        return stem if self.pattern.fullmatch(stem) else ""

    def files(self) -> dict[tuple[str, str], Path]:
        """The first of each name; raises `AvemoError` where there is none at all."""
        found = {key: paths[0] for key, paths in self._found.items()}
        if not found:
            raise AvemoError(
                f"{self.root}: expected files of {self.name} such as {self.example}, found none; "
                "unpack the corpus there, or correct corpus.config.root"
            )
        return found

    def media_files(self) -> Iterator[Path]:
        if self.root.is_dir():
            yield from (path for paths in self._found.values() for path in paths)

    def notes(self) -> list[str]:
        """Names that are there more than once, and media whose names say nothing."""
        twice = sorted(paths[1] for paths in self._found.values() if len(paths) > 1)
        known = {path for paths in self._found.values() for path in paths}
        other = sorted(
            path
            for path in files_below(self.root)
            if path.suffix.lower() in self.suffixes and path not in known
        )
        said = {
            "names are there twice; the first in order of path is used, the others not": twice,
            f"media files are named otherwise than {self.example} and not used": other,
        }
        return [f"{len(paths)} {what}: {_shown(paths)}" for what, paths in said.items() if paths]


def files_below(folder: Path) -> Iterator[Path]:
    """All files in any depth, but for hidden ones and what macOS adds."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(HIDDEN) and name != "__MACOSX")
        yield from (Path(place, name) for name in names if not name.startswith(HIDDEN))


def _shown(paths: list[Path]) -> str:
    return ", ".join(str(path) for path in paths[:3]) + (" …" if len(paths) > 3 else "")
