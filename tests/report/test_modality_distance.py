"""The cosine distance between a system's two representations."""

from __future__ import annotations

import pandas as pd
import pytest

from avemo.report.modality_distance import distance_chart, represented

SCORES = pd.DataFrame(
    [
        *(("vavl", "a", "av", "cosine_distance", 0.2), ("vavl", "b", "av", "cosine_distance", 0.4)),
        *(("vavl", "a", "av", "macro_f1", 0.9), ("mult", "a", "av", "macro_f1", 0.8)),
    ],
    columns=["system", "split", "modality", "metric", "value"],
)


def test_only_systems_with_two_vectors_are_drawn():
    assert represented(SCORES, ["mult", "vavl"]) == ["vavl"]
    chart = distance_chart(SCORES, ["mult", "vavl"], [{"kind": "synthetic"}])
    (axes,) = chart.figure.axes
    (bar,) = axes.patches
    assert bar.get_width() == pytest.approx(0.3)
    assert sorted(axes.lines[0].get_xdata()) == [0.2, 0.4]
    assert chart.alt.endswith("vavl 0.300")
    assert "synthetic corpus" in chart.caption
