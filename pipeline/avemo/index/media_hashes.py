"""What a corpus' files hold, and what was found out of their contents, by their hash.

So new media are read once, a file touched without change counts as unchanged,
and a listing of thousands of files costs one `os.stat` each.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from functools import cached_property
from mimetypes import guess_type
from pathlib import Path
from typing import Any

from avemo.base.atomic import aside
from avemo.base.contracts import MachineError, digest
from avemo.base.file_hashes import FileHashes, Known
from avemo.corpora.base import Corpus
from avemo.index.clip_table import FORMAT
from avemo.media.files import SOUND_SUFFIXES, VIDEO_SUFFIXES

SYNTHETIC = "synthetic"
"""The fact that holds whether the corpus said to be generated when its clip table was made."""
UNREADABLE = "unreadable"


class HashCache(FileHashes):
    """Hashes of a corpus' files; those that were not asked for since the start are forgotten when it is saved."""

    def __init__(self, path: Path):
        super().__init__(path)
        self.used: dict[str, Known] = {}
        self.used_facts: dict[str, Any] = {}

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What is known of contents, by key; only those who ask read the file."""
        return _read_facts(self.path)

    def fact(self, key: str, find: Callable[[], Any]) -> Any:
        """What ``find`` gave (JSON-able) when this key was first asked for.

        Let the key hold the hashes of all files that ``find`` reads. What it raises is not remembered.
        """
        found = self.facts[key] if key in self.facts else find()
        self.facts[key] = self.used_facts[key] = found
        return found

    def listing(self, paths: Iterable[Path]) -> list[tuple[str, int, str]]:
        """``(path, bytes, sha-256)`` of each existing file, sorted; of one that was never read its time, as text.

        Reads a file only if it was read before and has been touched since.
        """
        return sorted(filter(None, map(self._listed, {str(path) for path in paths})))

    def _listed(self, name: str) -> tuple[str, int, str] | None:
        try:
            stat = os.stat(name)
            if name in self.known:
                return name, stat.st_size, self.look(name, stat).sha256
        except (OSError, ValueError):
            # A ValueError is of a name that no file can have.
            return None
        # One that must not be read has no hash; once it may be, its clips are to be looked at again.
        return name, stat.st_size, str(stat.st_mtime_ns) if os.access(name, os.R_OK) else UNREADABLE

    def keep_synthetic(self, synthetic: bool) -> None:
        """Remember whether the corpus said to be generated when these files were hashed."""
        self.used_facts[SYNTHETIC] = synthetic

    @property
    def synthetic_and_gone(self) -> bool:
        """Whether the corpus said to be generated, and its media are not there to say so again."""
        return bool(self.facts.get(SYNTHETIC)) and self.media_are_gone()

    def media_are_gone(self) -> bool:
        """Whether media were hashed, and none of them is there any more. Looks no further than to the first."""
        there = (os.path.exists(path) for path in self.known if is_media(path))
        return not next(there, True) and not any(there)

    def save(self) -> None:
        """Write what was asked for since the start, aside and renamed."""
        self.write(self.used)
        if self.used_facts:
            kept = {SYNTHETIC: self.facts[SYNTHETIC]} if SYNTHETIC in self.facts else {}
            with aside(_facts_path(self.path)) as temporary:
                temporary.write_text(json.dumps(kept | self.used_facts))

    def look(self, path: str, stat: os.stat_result) -> Known:
        """As of every file, and note that it was asked for; raises `MachineError` for one that changes meanwhile."""
        found = super().look(path, stat)
        if self.used.setdefault(path, found).sha256 != found.sha256:
            raise MachineError(
                f"{path}: expected a file at rest, found it changed while it was read; run again"
            )
        return found


def fingerprint(corpus: Corpus, hashes: HashCache) -> str:
    """A cheap digest of what the corpus' `clips` would read: names, sizes, and what they hold."""
    listed = hashes.listing(corpus.watched_files())
    return digest([corpus.name, corpus.release(), corpus.config.numbers(), listed, FORMAT])


def is_media(path: str | Path) -> bool:
    """Whether a file's name says that it is sound or video."""
    known = os.path.splitext(path)[1].lower() in SOUND_SUFFIXES | VIDEO_SUFFIXES
    return known or (guess_type(path)[0] or "").startswith(("audio/", "video/"))


def _facts_path(path: Path) -> Path:
    """A file of its own: those who only list files need not read it."""
    return path.with_name(f"{path.stem}-facts.json")


def _read_facts(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(_facts_path(path).read_text()))
    except (OSError, ValueError, TypeError):
        return {}
