"""ComParE low-level descriptors at a 16 ms step: 65 LLDs and their deltas, by openSMILE.

The descriptors are those of ComParE 2016 (Schuller et al., Interspeech 2016),
framed as the papers say (32 ms windows, 16 ms step) instead of openSMILE's
20/60 ms windows every 10 ms. openSMILE's own configuration is edited at run
time, since its licence does not let us ship a changed copy.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
import weakref
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from avemo.base.component import Work
from avemo.base.contracts import AvemoError, ComponentConfig, FeatureSequence, MachineError
from avemo.base.frames import FrameBuffer, blocks
from avemo.features.base import AudioExtractor

if TYPE_CHECKING:
    from opensmile.core.lib import OpenSMILE

STEP_S = 0.016
SPECTRAL_WINDOW_S = 0.032
PITCH_WINDOW_S = {"60ms": 0.060, "all32": 0.032}

ROWS_HELD = 4096
"""Rows of openSMILE gathered before they become one block."""
BLOCK_SAMPLES, RING_SAMPLES, RING_ROWS = 160_000, 960_000, 1500
"""Sound written to openSMILE at once, and what its buffers hold: of sound, and of rows."""
FULL_S = 0.01
"""Time to wait while openSMILE's buffer is full."""
RING = """
writer.levelconf.growDyn = 0
writer.levelconf.isRb = 1
writer.levelconf.nT = {frames}
"""
WAVE_INPUT = "standard_external_wave_input.conf.inc"

SMOOTHED = ("is13_lld_nzsmo", "is13_lldA_smo", "is13_lldB_smo")
LEVELS = (*SMOOTHED, *(f"{level}_de" for level in SMOOTHED))
MAIN_CONFIG = r"""
[componentInstances:cComponentManager]
instance[dataMemory].type=cDataMemory
\{\cm[source{?}:input]}
INCLUDED
[componentInstances:cComponentManager]
instance[lldall].type=cVectorConcat
[lldall:cVectorConcat]
reader.dmLevel = LEVELS
writer.dmLevel = lldall
includeSingleElementFields = 1
\{\cm[sink{?}:output]}
"""


@dataclass(frozen=True)
class Framing:
    """Windows of the pitch and of the spectral descriptors, and their common step, in seconds."""

    step_s: float
    pitch_window_s: float
    spectral_window_s: float


class OpenSmileLLD(AudioExtractor):
    """Descriptors of one openSMILE, kept over all clips; subclasses open it."""

    libraries: ClassVar[tuple[str, ...]] = ("opensmile",)
    framing: Framing

    def __init__(self, config: ComponentConfig):
        super().__init__(config)
        self._smile = self._open()
        self.columns = column_names(self._smile)
        if len(self.columns) != self.dim:
            raise AvemoError(
                f"openSMILE {_version()}: expected {self.dim} descriptors, found {len(self.columns)}; "
                "install opensmile 2.6"
            )

    @abstractmethod
    def _open(self) -> OpenSMILE:
        """The openSMILE to use, with ``self.framing`` set."""

    def extract(self, signal: np.ndarray) -> FeatureSequence:
        """``signal (samples,)`` in [-1, 1] at 16 kHz to ``x (frames, dim)`` float32.

        Samples become 16-bit integers, as everywhere in openSMILE's Python
        package, but saturate instead of wrapping round at +1. Raises
        `AvemoError` for a signal shorter than one window or not finite,
        `MachineError` where openSMILE loses rows.
        """
        rows = self._expected_rows(signal)
        x, starts_s = run(self._smile, signal)
        if len(x) != rows + 1:
            raise MachineError(
                f"openSMILE {_version()}: expected {rows + 1} rows for {len(signal)} samples, "
                f"found {len(x)}; install opensmile 2.6"
            )
        return FeatureSequence(x[:rows], starts_s[:rows] + self.framing.spectral_window_s / 2)

    def _expected_rows(self, signal: np.ndarray) -> int:
        longest_s = max(self.framing.pitch_window_s, self.framing.spectral_window_s)
        window, step = round(longest_s * self.rate_hz), round(self.framing.step_s * self.rate_hz)
        self.check(signal, window)
        return (len(signal) - window) // step + 1


class CompareLLD(OpenSmileLLD):
    """65 ComParE 2016 descriptors, then their 65 deltas (``_de``), every 16 ms.

    Row ``i`` describes the windows that start at sample ``256 i``. Its time is
    the centre of the 32 ms window, ``0.016 i + 0.016`` s, in both readings; the
    60 ms window of F0, voicing, jitter, shimmer, HNR and zero crossings has its
    centre 14 ms later. There are ``(n - W) // 256 + 1`` rows for ``n`` samples
    and the longest window ``W``: openSMILE's last row repeats a timestamp and
    lacks a full window, so it is dropped.
    """

    name = "compare_lld"
    version = 1
    dim = 130
    work = Work(frames_hz=1 / STEP_S)

    class Config(ComponentConfig):
        """The one choice that the papers leave open."""

        pitch_window: Literal["60ms", "all32"] = "60ms"
        """``60ms`` keeps openSMILE's window for the pitch group. ``all32`` is the papers'
        literal text; it finds no F0 below about 170 Hz, hence none for most men."""

    config: Config

    def _open(self) -> OpenSMILE:
        self.framing = Framing(STEP_S, PITCH_WINDOW_S[self.config.pitch_window], SPECTRAL_WINDOW_S)
        return open_smile(self.framing, self.rate_hz)


def to_int16(signal: np.ndarray) -> np.ndarray:
    """``signal (samples,)`` in [-1, 1] to int16 by truncation; beyond the range it saturates.

    >>> to_int16(np.array([-1.0, 0.5, 1.0])).tolist()
    [-32768, 16384, 32767]
    """
    if not np.isfinite(signal).all():
        bad = int(np.argmin(np.isfinite(signal)))
        raise AvemoError(
            f"signal: expected finite samples, found {signal[bad]} at sample {bad}; decode the clip again"
        )
    return np.clip(signal * np.float32(32768), -32768, 32767).astype(np.int16)


def run(smile: OpenSMILE, signal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``signal (samples,)`` in [-1, 1] through openSMILE: rows ``(frames, dim)`` and their start times in seconds.

    A second thread writes sound while openSMILE, which lets Python run
    meanwhile, makes rows: neither side ever holds the whole clip. The state is
    reset afterwards, which costs less than a new openSMILE.
    """
    from opensmile import config

    rows: list[np.ndarray] = []
    starts_s: list[float] = []
    dim = smile.external_sink_get_num_elements(config.EXTERNAL_OUTPUT_COMPONENT)
    frames = FrameBuffer((dim,), np.float32)

    def keep() -> None:
        if rows:
            frames.append(np.array(rows, dtype=np.float32))
            rows.clear()

    def collect(data: np.ndarray, meta: Any) -> None:
        rows.append(data[0].copy())
        starts_s.append(meta.time)
        if len(rows) == ROWS_HELD:
            keep()

    smile._callbacks.clear()  # else openSMILE keeps every clip's rows alive
    smile.external_sink_set_callback_ex(config.EXTERNAL_OUTPUT_COMPONENT, collect)
    stopped = threading.Event()
    fed = _feeder(smile).submit(_feed, smile, signal, stopped)
    with _raising_what_callbacks_raise():
        try:
            smile.run()
        finally:
            stopped.set()
            wait([fed])
            smile.reset()
    fed.result()  # raises what the feeder raised
    keep()
    return frames.array(), np.array(starts_s)


@contextmanager
def _raising_what_callbacks_raise() -> Iterator[None]:
    """Raise at the block's end what Python called from C has raised in it, which ctypes would print and forget.

    Rows lost for want of memory would pass for a clip's own fault, and a Ctrl-C that strikes there be lost.
    """
    raised: list[BaseException] = []
    before = sys.unraisablehook
    sys.unraisablehook = lambda found: raised.append(found.exc_value or found.exc_type())
    try:
        yield
    finally:
        sys.unraisablehook = before
    if raised:
        raise raised[0]


def _feeder(smile: OpenSMILE) -> ThreadPoolExecutor:
    """The thread that writes sound to ``smile``, kept from clip to clip; a forked process starts its own.

    Starting a thread while memory is exhausted can hang: Python waits for ever for one that died at birth.
    """
    process, feeder = _feeders.get(smile, (0, None))
    if feeder is None or process != os.getpid():
        feeder = ThreadPoolExecutor(1)
        _feeders[smile] = os.getpid(), feeder
    return feeder


_feeders: weakref.WeakKeyDictionary[OpenSMILE, tuple[int, ThreadPoolExecutor]] = weakref.WeakKeyDictionary()


def _feed(smile: OpenSMILE, signal: np.ndarray, stopped: threading.Event) -> None:
    from opensmile import config

    source = config.EXTERNAL_SOURCE_COMPONENT
    try:
        for block in blocks(signal, BLOCK_SAMPLES):
            samples = to_int16(block).tobytes()
            while not stopped.is_set() and not smile.external_audio_source_write_data(source, samples):
                time.sleep(FULL_S)
    finally:
        smile.external_audio_source_set_eoi(source)


def open_smile(framing: Framing, rate_hz: int) -> OpenSMILE:
    """An openSMILE that writes all ComParE descriptors and deltas, row by row, for ``framing``."""
    with tempfile.TemporaryDirectory(prefix="avemo-opensmile-") as folder:
        return open_config(write_config(Path(folder), framing), "lldall", rate_hz, Path(folder) / "shared")


def open_config(config: Path, level: str, rate_hz: int, shared: Path) -> OpenSMILE:
    """An openSMILE of a configuration file that writes ``level``; ``shared`` is where its sources and sinks lie."""
    from opensmile.core.lib import OpenSMILE

    options = {
        "source": shared / WAVE_INPUT,
        "sink": shared / "standard_external_data_output_single.conf.inc",
        "sinkLevel": level,
        "sampleRate": rate_hz,
        "nBits": 16,
    }
    smile = OpenSMILE()
    smile.initialize(str(config), options, loglevel=0)
    weakref.finalize(smile, _free, smile._smileobj)
    return smile


def write_config(folder: Path, framing: Framing) -> Path:
    """Write the installed ComParE 2016 configuration, with ``framing``, into ``folder``; its main file.

    Raises `AvemoError` naming openSMILE's version when an edit does not match
    exactly once.
    """
    write_shared(folder)
    text = (package_config() / "compare/ComParE_2016_core.lld.conf.inc").read_text(encoding="utf-8")
    for framer, old_s, window_s in (
        ("is13_frame60", "0.060", framing.pitch_window_s),
        ("is13_frame25", "0.020", framing.spectral_window_s),
    ):
        text = edit(text, f"{framer}:cFramer", f"frameSize = {old_s}", f"frameSize = {window_s:.6f}")
        text = edit(text, f"{framer}:cFramer", "frameStep = 0.010", f"frameStep = {framing.step_s:.6f}")
    (folder / "compare").mkdir()
    (folder / "compare/descriptors.conf.inc").write_text(text, encoding="utf-8")
    return write_main(folder / "compare", ("descriptors.conf.inc",), LEVELS)


def write_main(folder: Path, included: Sequence[str], levels: Sequence[str]) -> Path:
    """Write a configuration of ``included`` files (paths from ``folder``) that joins ``levels`` as ``lldall``."""
    main = folder / "main.conf"
    files = "\n".join(f"\\{{{name}}}" for name in included)
    main.write_text(
        MAIN_CONFIG.replace("INCLUDED", files).replace("LEVELS", ";".join(levels)), encoding="utf-8"
    )
    return main


def write_shared(folder: Path) -> None:
    """Write what openSMILE's configurations share into ``folder/shared``, with buffers that do not grow with a clip."""
    import shutil

    shared = folder / "shared"
    shutil.copytree(package_config() / "shared", shared)
    (shared / "BufferMode.conf.inc").write_text(RING.format(frames=RING_ROWS), encoding="utf-8")
    wave = (shared / WAVE_INPUT).read_text(encoding="utf-8")
    for old in ("writer.levelconf.growDyn=1", "writer.levelconf.isRb=0"):
        wave = edit(wave, "extsource:cExternalAudioSource", old, "")
    (shared / WAVE_INPUT).write_text(wave + RING.format(frames=RING_SAMPLES), encoding="utf-8")


def edit(text: str, name: str, old: str, new: str) -> str:
    """``text`` with ``old`` replaced in the section ``name``, where it must occur exactly once."""
    before, header, after = text.partition(f"\n[{name}]\n")
    section, following, rest = after.partition("\n[")
    if not header or section.count(old) != 1:
        raise AvemoError(
            f"openSMILE {_version()}: expected {old!r} once in section {name} of its ComParE 2016 "
            f"configuration, found {section.count(old) if header else 'no such section'}; install opensmile 2.6"
        )
    return before + header + section.replace(old, new) + following + rest


def column_names(smile: OpenSMILE) -> tuple[str, ...]:
    """Names of the descriptors, as openSMILE gives them."""
    from opensmile import config

    sink = config.EXTERNAL_OUTPUT_COMPONENT
    return tuple(
        smile.external_sink_get_element_name(sink, i)
        for i in range(smile.external_sink_get_num_elements(sink))
    )


def package_config() -> Path:
    """The folder of openSMILE's own configurations."""
    import opensmile

    return Path(opensmile.__file__).parent / "core" / opensmile.config.CONFIG_ROOT


def _version() -> str:
    from importlib.metadata import version

    return version("opensmile")


def _free(pointer: int) -> None:
    from opensmile.core.lib import smileapi

    smileapi.smile_free(pointer)
