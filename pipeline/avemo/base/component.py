"""What a config can name: classes that declare what the house would otherwise have to guess.

They come from this package or from another; `avemo.base.registry` finds them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, entry_points, packages_distributions, version
from importlib.util import find_spec
from math import ceil
from pathlib import Path
from typing import Any, ClassVar

from avemo.base.contracts import ComponentConfig, MachineError

PACKAGE = "avemo"
RESIDENT_MB = 12_000
"""Most features that a training keeps on a GPU; CREMA-D's of AV-Ladder are 9,900 MB."""
RESIDENT_MB_A_SECOND = 0.9
"""Of media, at most: 100 frames of 1,024 numbers of sound, 30 of 4,096 of faces."""
GROUPS = {"corpus": "avemo.corpora", "extractor": "avemo.extractors", "model": "avemo.models"}
"""Groups of entry points by which installed packages offer components."""
NAME = r"[A-Za-z0-9][A-Za-z0-9_-]*"


@dataclass(frozen=True)
class Work:
    """What a job asks a cluster for; two to four times what was measured, as an attempt that fails starts anew."""

    seconds: float = 0.5
    """On one CPU thread, for each second of media; of a system, for each clip and epoch."""
    memory_mb: int = 2000
    gpu_mb: int = 0
    """Memory of a GPU; 0: it wants none. Of a system: its weights with their moments, and what CUDA itself takes."""
    gpu_frame_kb: float = 0.0
    """Of a system, on top: what a training step holds for each frame, of sound or faces, of each clip of a batch."""
    gpu_seconds: float | None = None
    """``seconds`` where a job holds a GPU; None: as many."""
    frames_hz: float = 100.0
    """Of an extractor: frames that it makes of a second of media, at most."""

    def training_s(self, clip_epochs: int, device: str) -> float:
        """Seconds to train on so many clips, each as often as there are epochs; ``device`` as in a training's config."""
        seconds = self.gpu_seconds if self.gpu_mb and device != "cpu" else None
        return clip_epochs * (self.seconds if seconds is None else seconds)

    def training_gpu_mb(self, frames: float) -> int:
        """Megabytes of a GPU for mini-batches of so many frames of sound and faces, padding included."""
        return self.gpu_mb + ceil(frames * self.gpu_frame_kb / 1000) if self.gpu_mb else 0


class Component:
    """Base of corpora, extractors and systems. A class variable without a value must be given one."""

    version: ClassVar[int]
    """Raised by hand whenever the numbers change."""
    Config: ClassVar[type[ComponentConfig]]
    tiny: ClassVar[Mapping[str, Any]] = {}
    """Fields of a `Config` that a test can afford."""
    work: ClassVar[Work] = Work()
    """What it costs, where it is a job's main part."""
    libraries: ClassVar[tuple[str, ...]] = ()
    """Distributions that make its numbers beside this package, those of its bases included."""

    @classmethod
    def versions(cls) -> dict[str, str]:
        """Of its `libraries`, by name: part of keys and of folders, as another version makes other numbers."""
        names = {name for base in cls.__mro__ for name in vars(base).get("libraries", ())}
        return {name: version_of(name) for name in sorted(names)}

    @classmethod
    def release(cls) -> int | str:
        """What enters keys: ``version``, and of another package's component who made it."""
        maker = maker_of(cls.__module__)
        return f"{cls.version} of {maker}" if maker else cls.version

    @classmethod
    def complaints(cls) -> Iterator[str]:
        """What is wrong with the class itself, as ``expected ..., found ...``."""
        for variable in _undeclared(cls):
            yield f"expected the class variable {variable!r}, found none"
        for method in dir(cls):
            if getattr(getattr(cls, method, None), "__isabstractmethod__", False):
                yield f"expected {method!r} to be written, found only its declaration"
        name, number = getattr(cls, "name", None), getattr(cls, "version", None)
        config: Any = getattr(cls, "Config", None)
        if name is not None and not (isinstance(name, str) and re.fullmatch(NAME, name)):
            yield f"expected a name of letters, digits, _ and -, as it is part of folder names, found {name!r}"
        if number is not None and (type(number) is not int or number < 1):
            yield f"expected a version that is a whole number from 1 on, found {number!r}"
        if config is not None and not (isinstance(config, type) and issubclass(config, ComponentConfig)):
            yield f"expected a Config derived from avemo.base.contracts.ComponentConfig, found {config!r}"
        elif config is not None and set(cls.tiny) - set(config.model_fields):
            yield f"expected tiny to hold fields of Config, found {', '.join(cls.tiny)}"


def _undeclared(cls: type) -> Iterator[str]:
    """Class variables that a base of ``cls`` announces and none gives a value."""
    for base in cls.__mro__:
        for variable, kind in vars(base).get("__annotations__", {}).items():
            if "ClassVar[" in str(kind) and not hasattr(cls, variable):
                yield variable


@cache
def version_of(library: str) -> str:
    """The version of an installed distribution, without importing it; raises `MachineError` if there is none.

    PyAV's stands for the FFmpeg that its wheels carry; one built against another FFmpeg says which.
    """
    try:
        found = version(library)
    except PackageNotFoundError as error:
        raise MachineError(
            f"{library}: expected it installed, found none; install envs/requirements.lock"
        ) from error
    return f"{found} with {_ffmpeg()}" if library == "av" and not _carries_ffmpeg() else found


def _carries_ffmpeg() -> bool:
    spec = find_spec("av")
    return spec is not None and Path(spec.origin or "").parent.with_name("av.libs").is_dir()


def _ffmpeg() -> str:
    import av

    return ", ".join(f"{name} {'.'.join(map(str, found))}" for name, found in av.library_versions.items())


@cache
def maker_of(module: str) -> str | None:
    """Name and version of the distribution that a module belongs to, or its top package alone if none is installed.

    None for this package's own modules.
    """
    top = module.split(".")[0]
    if top == PACKAGE:
        return None
    for group in GROUPS.values():
        for entry in entry_points(group=group):
            if entry.module.split(".")[0] == top and entry.dist:
                return f"{entry.dist.name} {entry.dist.version}"
    names = packages_distributions().get(top)
    return f"{names[0]} {version(names[0])}" if names else top
