"""Scores of a finished run with the least that each lies above the majority predictor's in any split, as Markdown.

python -m benchmarks.margins results/every_system
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pandas as pd

from avemo.base.result_tables import read_results

METRICS = ("macro_f1", "micro_f1")
BASELINES = ("majority", "chance")


def by_split(run: Path, metric: str) -> pd.DataFrame:
    """Percent on the test clips, both modalities given: a row a system, a column a split."""
    names = [*json.loads((run / "config.json").read_text())["systems"], "baselines"]
    scores = pd.concat([read_results(run / "scores" / f"{name}.csv") for name in names])
    chosen = scores[(scores.metric == metric) & (scores.modality == "av")]
    return 100 * chosen.pivot(index="system", columns="split", values="value")


def main() -> None:
    """Print a row a system, the baselines last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="a run's results folder")
    run = parser.parse_args().run
    systems = json.loads((run / "config.json").read_text())["systems"]
    tables = [by_split(run, metric) for metric in METRICS]
    print("| system | macro-F1 | least above | micro-F1 | least above |\n|---|---|---|---|---|")
    for name in (*systems, *BASELINES):
        cells = [systems[name]["title"] if name in systems else name]
        for table in tables:
            least = (table.loc[name] - table.loc["majority"]).min()
            cells += [f"{table.loc[name].mean():.1f} ± {table.loc[name].std():.1f}"]
            cells += ["" if name in BASELINES else f"{least:+.1f}"]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
