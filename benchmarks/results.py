"""docs/benchmarks.json and the page docs/benchmarks.md made of it: one section a benchmark, each from its last run."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from avemo.base.atomic import aside

RESULTS = Path("docs/benchmarks.json")
PACKAGES = ("torch", "transformers", "timm", "facenet-pytorch", "opensmile", "av", "h5py", "snakemake")
HEAD = """# Speed and memory, against what a user would run instead

Written by `make bench`; `make bench BENCH="faces wav2vec2"` renews single sections. Both sides of a ratio ran in turn
in one run, on equal inputs. A bar is the ratio aimed at, on two CPU cores; networks hold random weights, which
changes no speed. The same numbers as data: [benchmarks.json](benchmarks.json).
"""
UNITS = ("native bfloat16", {"avx512_bf16": "AVX512-BF16", "amx_bf16": "AMX"})

Row = Mapping[str, Any]


def publish(
    name: str, against: str, rows: Sequence[Row], bars: Mapping[str, tuple[float, float]] | None = None
) -> None:
    """Print a benchmark's rows (all with the same columns) and put them into the page.

    ``bars`` are the ratios that count: by name, what was measured and what is
    aimed at. Call it once, at the end of a run: the load it notes is that of
    the last minute.
    """
    entry = {
        "against": against,
        "machine": machine(),
        "bars": [
            {"what": what, "ratio": round(ratio, 3), "bar": bar}
            for what, (ratio, bar) in (bars or {}).items()
        ],
        "rows": [{column: _rounded(value) for column, value in row.items()} for row in rows],
    }
    print("\n".join(_section(name, entry)), flush=True)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results[name] = entry
    _write(RESULTS, json.dumps(results, indent=1) + "\n")
    _write(RESULTS.with_suffix(".md"), page(results))


def page(results: Mapping[str, Any]) -> str:
    """The page of all results: the bars first, then each benchmark's rows."""
    bars = [
        (bar["what"], f"{bar['ratio']:.2f}", f"{bar['bar']:g}", "yes" if bar["ratio"] >= bar["bar"] else "no")
        for entry in results.values()
        for bar in entry["bars"]
    ]
    lines = [HEAD, *_table(("what", "ratio", "bar", "met"), bars)]
    for name, entry in results.items():
        lines += ["", *_section(name, entry)]
    return "\n".join(lines) + "\n"


def machine() -> dict[str, str]:
    """What a measurement depends on: date, processor, GPU, versions, and how busy the machine was."""
    import torch

    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    processor = next(
        (v.strip() for k, v in fields.items() if k.strip() == "model name"), platform.processor()
    )
    flags = " ".join(v for k, v in fields.items() if k.strip() == "flags").split()
    what, units = UNITS
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": f"{processor}, {os.cpu_count()} cores",
        what: ", ".join(title for flag, title in units.items() if flag in flags) or "none",
        "GPU": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "load of the last minute": f"{os.getloadavg()[0]:.1f}",
        "versions": ", ".join(f"{package} {found}" for package, found in versions().items()),
    }


def versions() -> dict[str, str]:
    """Of those `PACKAGES` that are installed; a machine lent for a measurement need not have all."""
    found = {}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _section(name: str, entry: Row) -> list[str]:
    facts = "; ".join(f"{what}: {value}" for what, value in entry["machine"].items())
    columns = list(entry["rows"][0])
    rows = [[_text(row[column]) for column in columns] for row in entry["rows"]]
    return [f"## {name}", "", entry["against"], "", *_table(columns, rows), "", f"<sub>{facts}</sub>"]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def _rounded(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    with aside(path) as temporary:
        temporary.write_text(text)
