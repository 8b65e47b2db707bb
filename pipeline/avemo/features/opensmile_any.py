"""Any feature set of openSMILE at any of its levels, or a configuration file of one's own, by the opensmile package."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from avemo.base.component import Work
from avemo.base.contracts import AvemoError, ComponentConfig, ConfigError, FeatureSequence, located
from avemo.features.base import AudioExtractor
from avemo.features.opensmile_lld import to_int16
from avemo.weights.hashes import sha256_path

# fmt: off
FeatureSetName = Literal[
    "ComParE_2016", "GeMAPS", "GeMAPSv01a", "GeMAPSv01b", "eGeMAPS", "eGeMAPSv01a", "eGeMAPSv01b", "eGeMAPSv02",
    "emobase", "IS09", "IS10", "IS11", "IS12", "IS13",
]
# fmt: on
LEVELS = {"lld": "LowLevelDescriptors", "lld_de": "LowLevelDescriptors_Deltas", "functionals": "Functionals"}
INCLUDE = re.compile(r"^[^;/]*\\\{(?!\\cm\[)([^}]*)\}", re.MULTILINE)
"""A line that includes a file by its name."""
OPTION = re.compile(r"^[^;/]*\\\{\\cm\[(\w+)[^\]]*\]\}", re.MULTILINE)
"""One that includes the file that an option names, or its default."""
OWN = {"source", "sink", "bufferModeRbConf", "frameModeFunctionalsConf"}
"""Options by which the package has openSMILE include its own files."""
VALUE = re.compile(r"=\s*([^\s;]*[./][^\s;]*)")
"""What may name a file."""


class OpenSmile(AudioExtractor):
    """Rows of ``opensmile.Smile(set, level)``, which `Config` names, at the times that openSMILE gives them.

    Descriptors have a row each 10 ms, functionals one row a clip, or one a window where ``window_s`` is given; a
    clip shorter than a window is one. A row's time is the middle of what it describes. Memory grows with the clip:
    ``compare_lld``, ``compare_2016`` and ``egemaps`` are descriptors whose memory does not.
    """

    name = "opensmile"
    version = 1
    libraries = ("opensmile",)
    tiny = {"set": "IS09"}
    work = Work(seconds=0.5, memory_mb=4000)

    class Config(ComponentConfig):
        """A set of the package, or a file."""

        set: FeatureSetName = "eGeMAPSv02"
        """The package's name of the set."""
        level: Literal["lld", "lld_de", "functionals"] = "functionals"
        """Descriptors, their deltas, or functionals over all descriptors."""
        conf: str | None = located(default=None)
        """Instead of a set: a configuration file, whole in itself, that writes its rows to ``conf_level``. Its
        source and sink are those of openSMILE's own files: ``\\\\{\\\\cm[source{?}:input]}`` and
        ``\\\\{\\\\cm[sink{?}:output]}``."""
        conf_level: str = "func"
        """Name of the level that the file's rows are read from."""
        window_s: float | None = Field(None, gt=0)
        """Functionals over windows of this length; None: over the clip."""
        hop_s: float | None = Field(None, gt=0)
        """From one window to the next; None: as long as a window."""

        @model_validator(mode="after")
        def _consistent(self) -> OpenSmile.Config:
            if self.window_s is None and self.hop_s is not None:
                raise ValueError("hop_s: expected only with window_s")
            if self.window_s is not None and self.level != "functionals" and self.conf is None:
                raise ValueError(
                    "window_s: expected only with functionals; descriptors have their own windows"
                )
            if self.level == "lld_de" and self.conf is None and "GeMAPS" in self.set:
                raise ValueError(f"level: expected lld or functionals of {self.set}, which has no deltas")
            return self

    config: Config

    def __init__(self, config: Config):
        super().__init__(config)
        import opensmile

        self._conf: str | None = None
        source: Any = opensmile.FeatureSet.__members__[config.set]
        level: Any = opensmile.FeatureLevel[LEVELS[config.level]]
        if config.conf is not None:
            source, level = str(_whole(Path(config.conf)).absolute()), config.conf_level
            self._conf = sha256_path(config.conf)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that newer sets are recommended
            try:
                self._smile = opensmile.Smile(source, level)
            except Exception as error:  # the package raises bare Exception for a file that openSMILE refuses
                raise ConfigError(
                    f"config: conf {config.conf}: expected a configuration that openSMILE takes, with a level "
                    f"{config.conf_level!r}, found: {' '.join(str(error).split())[:300]}; try it with SMILExtract"
                ) from error
        self.columns = tuple(self._smile.feature_names)
        self.dim = len(self.columns)

    def provenance(self) -> dict[str, Any]:
        """Sha-256 of the configuration file, if it is one's own."""
        return {"conf": self._conf} if self._conf else {}

    @property
    def identity(self) -> str | None:
        """Of the configuration file."""
        return self._conf

    def extract(self, signal: np.ndarray) -> FeatureSequence:
        """``signal (samples,)`` in [-1, 1] at 16 kHz to ``x (rows, dim)`` float32.

        Samples become 16-bit integers as in the package, but saturate instead of wrapping round at +1. Raises
        `AvemoError` for a signal of which openSMILE makes no row.
        """
        self.check(signal, 1)
        rows, times_s = [], []
        for begin, end in self._windows(len(signal)):
            x, middles_s = self._rows(signal[begin:end])
            rows.append(x)
            times_s.append(middles_s + begin / self.rate_hz)
        return FeatureSequence(np.concatenate(rows), np.concatenate(times_s))

    def _windows(self, samples: int) -> Iterator[tuple[int, int]]:
        """Whole windows of a clip; the clip itself where no window is asked for, or none fits."""
        if self.config.window_s is None or samples <= self.config.window_s * self.rate_hz:
            yield 0, samples
            return
        length = round(self.config.window_s * self.rate_hz)
        hop = round((self.config.hop_s or self.config.window_s) * self.rate_hz)
        for begin in range(0, samples - length + 1, max(1, hop)):
            yield begin, begin + length

    def _rows(self, signal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows of one stretch of sound, and their middles in seconds from its start."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a segment too short, which is an error below
            starts, ends, x = self._smile.process(to_int16(signal) / np.float32(32768), self.rate_hz)
        if np.isnan(x).all():
            raise AvemoError(
                f"signal too short for {self.name}: expected sound enough for a row of "
                f"{self.config.conf or self.config.set}, found {len(signal) / self.rate_hz:g} s; give a longer clip "
                "or leave it out"
            )
        middles_s = (starts.total_seconds() + ends.total_seconds()).to_numpy() / 2
        return x.astype(np.float32), middles_s


def _whole(conf: Path) -> Path:
    """The file; raises `ConfigError` if it is not there, or includes others, whose changes no key would show."""
    if not conf.is_file():
        raise ConfigError(f"config: conf {conf}: expected a configuration file of openSMILE, found nothing")
    text = conf.read_text(encoding="utf-8", errors="replace")
    included = [*INCLUDE.findall(text), *(name for name in OPTION.findall(text) if name not in OWN)]
    if included:
        raise ConfigError(
            f"config: conf {conf}: expected a file whole in itself, found that it includes {', '.join(included)}; "
            "write these files' text in their place"
        )
    named = [
        value for value in VALUE.findall(text) if any(Path(at, value).is_file() for at in (".", conf.parent))
    ]
    if named:
        raise ConfigError(
            f"config: conf {conf}: expected a file whole in itself, found that it names {', '.join(named)}, whose "
            "changes no key would show; write what it holds into the file, or leave that part out"
        )
    return conf
