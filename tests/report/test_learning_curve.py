"""The learning curve: one line a system, one point a size of the train part."""

from __future__ import annotations

import pandas as pd
import pytest

from avemo.dataset.tasks import Classes
from avemo.report.learning_curve import learning_curve_chart, learning_curve_table

TASK = Classes(("calm", "glad"))


@pytest.fixture
def curve() -> pd.DataFrame:
    rows = [
        ("ours", split, modality, metric, percent, percent / 200 + 0.1 * number)
        for percent in (25, 50, 100)
        for number, split in enumerate(("a", "b"))
        for modality in ("av", "audio")
        for metric in ("macro_f1", "micro_f1")
    ]
    return pd.DataFrame(rows, columns=["system", "split", "modality", "metric", "percent", "value"])


def test_each_size_has_mean_and_spread_over_splits(curve):
    table = learning_curve_table(curve, ["other", "ours"], TASK)
    assert table.frame.columns.tolist() == ["system", "25 %", "50 %", "100 %"]
    assert table.frame.to_numpy().tolist() == [["ours", "17.5 ± 7.1", "30.0 ± 7.1", "55.0 ± 7.1"]]
    assert set(table.raw.metric) == {"macro_f1"}


def test_the_line_goes_through_the_means(curve):
    chart = learning_curve_chart(curve, ["other", "ours"], TASK, [{"kind": "synthetic"}])
    line = chart.figure.axes[0].lines[0]
    assert line.get_xdata().tolist() == [25, 50, 100]
    assert line.get_ydata() == pytest.approx([17.5, 30, 55])
    assert "synthetic corpus" in chart.caption
