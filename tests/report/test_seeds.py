"""Seeds of a split count once in tests, and their spread is told apart from that of splits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from avemo.dataset.tasks import Classes
from avemo.report.scores import seeds_averaged
from avemo.report.seeds import seeds_table, variances


@pytest.fixture
def each_seed() -> pd.DataFrame:
    """Three splits of four seeds each; the rows in no order."""
    generator = np.random.default_rng(0)
    rows = [
        ("net", f"split{split:02d}" + (f"_seed{seed}" if seed else ""), "av", "macro_f1", generator.random())
        for split in range(3)
        for seed in range(4)
    ]
    frame = pd.DataFrame(rows, columns=["system", "split", "modality", "metric", "value"])
    return frame.sample(frac=1, random_state=0)


def test_a_split_scores_the_mean_of_its_seeds(each_seed):
    table = each_seed.assign(sides=each_seed["split"].str[:7]).pivot_table(index="sides", values="value")
    found = seeds_averaged(each_seed).set_index("split")["value"].sort_index()
    assert found.to_dict() == pytest.approx(table["value"].to_dict())
    assert seeds_averaged(each_seed.head(0)).empty


def test_both_variances_by_numpy(each_seed):
    cells = each_seed.sort_values("split")["value"].to_numpy().reshape(3, 4)
    (row,) = variances(each_seed).to_dict("records")
    assert row["mean"] == pytest.approx(cells.mean())
    assert row["sd_splits"] == pytest.approx(cells.mean(1).std(ddof=1))
    assert row["sd_seeds"] == pytest.approx(np.sqrt(cells.var(1, ddof=1).mean()))
    table = seeds_table(each_seed, ["net"], Classes(["a", "b"]))
    assert table.frame.iloc[0].tolist()[2:] == [
        f"{100 * row[name]:.1f}" for name in ("mean", "sd_splits", "sd_seeds")
    ]
