"""The corpus contract: who said what, where the media lie, and how raters voted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from avemo.base.component import Component
from avemo.base.contracts import Clip, ComponentConfig

MARKER = "SYNTHETIC.txt"
"""A file in a corpus' folder that says: generated, nobody was recorded."""
Counting = Callable[[int, int], None]
"""Called with what is done and what there is in all."""


@dataclass(frozen=True)
class Label:
    """A clip's label, or None with the reason why the rule gives none.

    A label is a class' name, or a number for each of `Corpus.classes` by name: shares of
    the classes, attributes, or emotion bits, as `Corpus.task` says.
    """

    clip_id: str
    label: str | Mapping[str, float] | None
    reason: str = ""
    intensity: str = ""
    """How strongly the emotion was to be shown, or was seen, where the corpus has such levels."""
    votes: Mapping[str, int] = field(default_factory=dict)
    """How many raters named each of `Corpus.classes`, where the corpus tells."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What else is said of the clip, by column: its official side, the speaker's sex. Reports score by each."""


class Corpus(Component, ABC):
    """One corpus, made from its ``Config`` (where it lies) and ``Labels`` (the label rule)."""

    name: ClassVar[str]
    """Its folder in the cache, unless a config gives another id."""
    place: ClassVar[str] = "root"
    """The field of ``Config`` that says where the corpus lies: a folder, or a file in it."""
    libraries: ClassVar[tuple[str, ...]] = ("av",)
    Labels: ClassVar[type[ComponentConfig]]

    @classmethod
    def complaints(cls) -> Iterator[str]:
        yield from super().complaints()
        if cls.place not in cls.Config.model_fields:
            yield f"expected a field {cls.place!r} of Config, as the class variable 'place' says; found none"

    def __init__(self, config: ComponentConfig, labels: ComponentConfig):
        self.config, self.label_rule = config, labels

    @property
    def root(self) -> Path:
        """The corpus' folder."""
        return Path(getattr(self.config, self.place))

    @property
    def synthetic(self) -> bool:
        """Whether the clips are generated; reports say so wherever results appear."""
        return (self.root / MARKER).is_file()

    @property
    def task(self) -> str:
        """What the label rule gives: a name in `avemo.dataset.TASKS`."""
        return "classes"

    @property
    @abstractmethod
    def classes(self) -> tuple[str, ...]:
        """Names of classes, attributes or emotions, in the order of a model's outputs."""

    @abstractmethod
    def clips(self) -> list[Clip]:
        """Every clip, whether or not its media can be read, without hashes. Raises `AvemoError`."""

    @abstractmethod
    def labels(self, clips: list[Clip]) -> list[Label]:
        """One label a clip, in the same order."""

    @abstractmethod
    def media_files(self) -> Iterable[Path]:
        """Sound and pictures that `clips` may name."""

    def tables(self) -> list[Path]:
        """What `clips` reads beside the media, there or not."""
        return []

    def label_files(self) -> list[Path]:
        """What `labels` and `classes` read, there or not."""
        return self.tables()

    def notes(self) -> list[str]:
        """What is odd about the folder beyond single clips: counts, names that do not match."""
        return []

    def prepare(self, progress: Counting | None = None) -> None:
        """Make or unpack what the corpus needs. Most need nothing."""

    def all_files(self) -> list[Path]:
        """Media, tables, and the mark of a generated corpus."""
        return [self.root / MARKER, *self.tables(), *self.media_files()]

    def watched_files(self) -> list[Path]:
        """The files whose change means another clip table."""
        return self.all_files()
