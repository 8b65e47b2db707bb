"""The corpus contract: who said what, where the media lie, and how raters voted."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pipeline.contracts import Clip, ComponentConfig, digest


@dataclass(frozen=True)
class Label:
    """A clip's class, or None with the reason why the rule gives none."""

    clip_id: str
    label: str | None
    reason: str = ""


class Corpus(ABC):
    """One corpus, made from its ``Config`` (where it lies) and ``Labels`` (the label rule)."""

    name: ClassVar[str]
    version: ClassVar[int]
    synthetic: ClassVar[bool] = False
    Config: ClassVar[type[ComponentConfig]]
    Labels: ClassVar[type[ComponentConfig]]

    def __init__(self, config: ComponentConfig, labels: ComponentConfig):
        self.config, self.label_rule = config, labels

    @property
    @abstractmethod
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of a model's outputs."""

    @abstractmethod
    def clips(self) -> list[Clip]:
        """Every clip, whether or not its media can be read, without hashes. Raises `AvemoError`."""

    @abstractmethod
    def labels(self, clips: list[Clip]) -> list[Label]:
        """One label a clip, in the same order."""

    @abstractmethod
    def media_files(self) -> Iterable[Path]:
        """The files that `clips` depends on: media and tables."""

    def prepare(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Make or unpack what the corpus needs. Most need nothing."""

    def fingerprint(self) -> str:
        """A cheap digest of what `clips` would read: names, sizes and times of change."""
        return digest([self.name, self.version, self.config.numbers(), listing(self.media_files())])


def listing(paths: Iterable[Path]) -> list[tuple[str, int, int]]:
    """``(path, bytes, mtime_ns)`` of each existing file, sorted."""
    found = []
    for path in paths:
        try:
            stat = os.stat(path)
        except OSError:
            continue
        found.append((str(path), stat.st_size, stat.st_mtime_ns))
    return sorted(found)
