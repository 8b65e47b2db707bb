"""The first system against each other one."""

import pandas as pd
import pytest
from scipy.stats import ttest_rel

from avemo.base.contracts import AvemoError
from avemo.report.comparison import compare

OURS, CLOSE, FAR = [0.61, 0.64, 0.66, 0.60], [0.60, 0.65, 0.63, 0.59], [0.40, 0.43, 0.41, 0.38]


def scores(system: str, values: list[float]) -> pd.DataFrame:
    rows = [(f"split{i:02d}", "av", "macro_f1", value) for i, value in enumerate(values)]
    return pd.DataFrame(rows, columns=["split", "modality", "metric", "value"]).assign(system=system)


def test_each_rival_is_tested_on_the_same_splits():
    table = compare([scores("ours", OURS), scores("close", CLOSE), scores("far", FAR)], 0.2, "greater")
    assert table.system.tolist() == ["close", "far"]
    assert set(table.reference) == {"ours"}
    for values, (_, row) in zip((CLOSE, FAR), table.iterrows(), strict=True):
        assert row.p == pytest.approx(ttest_rel(OURS, values, alternative="greater").pvalue, rel=1e-9)
    assert table.p_holm.tolist() == pytest.approx([table.p[0], 2 * table.p[1]])


def test_the_order_of_rows_does_not_matter():
    shuffled = scores("far", FAR).iloc[::-1]
    straight = compare([scores("ours", OURS), scores("far", FAR)], 0.2, "greater")
    assert compare([scores("ours", OURS), shuffled], 0.2, "greater").equals(straight)


def test_unpaired_scores_are_refused():
    with pytest.raises(AvemoError, match="expected both systems on the splits"):
        compare([scores("ours", OURS), scores("far", FAR[:3])], 0.2, "greater")
