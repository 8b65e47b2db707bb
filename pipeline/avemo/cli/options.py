"""Options and small services that several commands share."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from avemo.base.atomic import aside
from avemo.base.project import PROJECT, carried

ConfigFile = Annotated[
    Path,
    typer.Option(
        "--configfile",
        "--config",
        callback=carried,
        help="A run's YAML; config/... also names one that avemo carries.",
    ),
]
if TYPE_CHECKING:
    from pydantic import BaseModel

Spec = TypeVar("Spec", bound="BaseModel")
DEFAULT_CONFIG = Path("config/config.yaml")
Profile = Annotated[
    Path | None,
    typer.Option(
        callback=lambda profile: profile and carried(profile),
        help="A Snakemake profile; profiles/default, profiles/gpu and profiles/slurm are carried by avemo.",
    ),
]
SNAKEFILE = PROJECT / "Snakefile"
Cfg = Annotated[str, typer.Option("--cfg", help="JSON, or a JSON file; see `avemo config show --part`.")]
Settings = Annotated[
    str,
    typer.Option(
        "--settings",
        envvar="AVEMO_SETTINGS",
        help="JSON of speed settings and places of weights, by corpus, component or run/system.",
    ),
]
Run = Annotated[str, typer.Option("--run", help="Which run, where the config holds several.")]
Threads = Annotated[int, typer.Option("--threads", min=1, help="CPU threads.")]
GpuMb = Annotated[
    int,
    typer.Option(
        "--gpu-mb", min=0, help="Memory of a GPU to hold; waits for a device with room. 0: unshared."
    ),
]
Out = Annotated[Path, typer.Option("--out", help="File to write; appears whole or not at all.")]
Index = Annotated[Path, typer.Option("--index", help="Clip table (Parquet).")]


def as_mapping(text: str) -> dict[str, Any]:
    """An option's JSON, given in place or as a file's name."""
    from avemo.base.contracts import ConfigError

    try:
        loaded = json.loads(
            text if text.lstrip().startswith("{") else Path(text).read_text(), object_pairs_hook=_each_once
        )
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"config: expected JSON or a JSON file, found {text[:300]!r}: {error}") from error
    if not isinstance(loaded, dict):
        raise ConfigError(f"config: {text[:300]}: expected keys and values, found {type(loaded).__name__}")
    return loaded


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"a key twice among {', '.join(name for name, _ in pairs)}")
    return found


def as_spec(model: type[Spec], text: str, option: str = "--cfg") -> Spec:
    """An option's JSON, given in place or as a file's name, checked by the class that wrote it."""
    from avemo.study.config import parse

    return parse(model, as_mapping(text), option)


def use_threads(threads: int) -> None:
    """Bound every numerical library; call before they are imported."""
    # Detectors see a new shape in every batch, and oneDNN keeps what it prepared for a thousand of them.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)


def write_aside(path: Path, write: Callable[[Path], Any]) -> None:
    """Let ``write`` make a file beside ``path``, then rename it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with aside(path) as temporary:
        write(temporary)


def write_text(path: Path, text: str) -> None:
    """For `write_aside`."""
    path.write_text(text, encoding="utf-8")


class Counter:
    """Prints ``what: done of total``: one moving line on a terminal, one line in ten seconds in a log."""

    def __init__(self, what: str):
        self.what, self.start, self.printed = what, time.monotonic(), 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        terminal = sys.stderr.isatty()
        if done < total and now - self.printed < (0.2 if terminal else 10):
            return
        self.printed = now
        rate = done / max(now - self.start, 1e-9)
        line = f"{self.what}: {done} of {total}, {rate:.1f} per second, {(total - done) / max(rate, 1e-9):.0f} s left"
        end = "\r" if terminal and done < total else "\n"
        print(line, end=end, file=sys.stderr, flush=True)
