"""What the figures draw, read from their artists, and the bytes they are written as."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex, to_rgb
from scipy.spatial.distance import pdist
from sklearn.metrics import confusion_matrix

from avemo.dataset.tasks import Classes
from avemo.report import figures
from avemo.report.figures import COLOURS, Chart

ORDER = ["auxformer", "av_ladder", "mult", "early_fusion"]
CLASSES = ["anger", "disgust", "fear", "happy", "neutral", "sad"]
TASK = Classes(CLASSES)
NOTES = [{"kind": "synthetic", "text": "generated"}, {"kind": "random weights", "text": "seed 0"}]


@pytest.fixture(scope="module")
def charts(
    scores: pd.DataFrame, tests: pd.DataFrame, predictions: pd.DataFrame, history: pd.DataFrame
) -> dict[str, Chart]:
    before = dict(mpl.rcParams)
    made = [
        figures.systems_comparison(scores, ORDER, TASK, NOTES),
        figures.paired_differences(scores, tests, ORDER, TASK, NOTES),
        figures.missing_modality(scores, ORDER, TASK, NOTES),
        figures.confusion(predictions, CLASSES, ORDER, NOTES),
        figures.training_curves(history, ORDER, TASK, NOTES),
    ]
    assert dict(mpl.rcParams) == before
    return {chart.name: chart for chart in made}


def _values(scores: pd.DataFrame, system: str, modality: str = "av") -> np.ndarray:
    chosen = scores.query(f"system=={system!r} and modality=={modality!r} and metric=='macro_f1'")
    return chosen.sort_values("split")["value"].to_numpy() * 100


def test_bars_are_means_and_dots_are_splits(charts: dict[str, Chart], scores: pd.DataFrame) -> None:
    axes = charts["systems"].figure.axes[0]
    for system, bar, dots, colour in zip(ORDER, axes.patches, axes.lines, COLOURS, strict=False):
        assert bar.get_width() == pytest.approx(_values(scores, system).mean())
        np.testing.assert_allclose(dots.get_xdata(), _values(scores, system))
        assert to_hex(dots.get_color()).upper() == colour
    lines = [line.get_xdata()[0] for line in axes.lines[len(ORDER) :]]
    assert lines == pytest.approx([_values(scores, name).mean() for name in ("majority", "chance")])


def test_differences_and_interval(
    charts: dict[str, Chart], scores: pd.DataFrame, tests: pd.DataFrame
) -> None:
    dots, mean, interval = charts["paired_differences"].figure.axes[0].lines[:3]
    expected = _values(scores, "auxformer") - _values(scores, "av_ladder")
    np.testing.assert_allclose(dots.get_xdata(), expected)
    assert mean.get_xdata() == pytest.approx([expected.mean()])
    row = tests.query("system=='av_ladder' and modality=='av' and metric=='macro_f1'").iloc[0]
    np.testing.assert_allclose(interval.get_xdata(), [100 * row["ci_low"], 100 * row["ci_high"]])


def test_missing_modality_draws_what_was_scored(charts: dict[str, Chart], scores: pd.DataFrame) -> None:
    bars = charts["missing_modality"].figure.axes[0].patches
    assert len(bars) == 3 * 3 + 1
    assert bars[1].get_height() == pytest.approx(_values(scores, "auxformer", "audio").mean())


def test_confusion_equals_sklearn(charts: dict[str, Chart], predictions: pd.DataFrame) -> None:
    part = predictions.query("system=='mult' and modality=='av'")
    expected = 100 * confusion_matrix(part["target"], part["prediction"], normalize="true")
    panel = charts["confusion"].figure.axes[2]
    assert panel.get_title(loc="left") == "mult"
    np.testing.assert_allclose(panel.images[0].get_array(), expected)


def test_curve_mean_stops_where_a_split_stops(charts: dict[str, Chart], history: pd.DataFrame) -> None:
    lines = charts["training_curves"].figure.axes[0].lines
    thick = [line for line in lines if line.get_linewidth() > 2]
    assert len(thick) == len(ORDER)
    epochs = np.asarray(thick[0].get_xdata())
    assert epochs.max() == 11  # the shortest split has 12 epochs
    at = history.query("system=='auxformer' and epoch==5")["dev_loss"].mean()
    assert np.asarray(thick[0].get_ydata())[5] == pytest.approx(at)


def test_notes_in_captions_and_pictures(charts: dict[str, Chart]) -> None:
    for chart in charts.values():
        assert chart.caption.endswith("synthetic corpus · random weights")
        assert chart.figure.get_supxlabel() == "synthetic corpus · random weights"
        assert chart.alt


def test_svg_is_deterministic_and_self_contained(
    charts: dict[str, Chart], scores: pd.DataFrame, tmp_path: Path
) -> None:
    figures.save_svg(charts["systems"], tmp_path / "a.svg")
    written = (tmp_path / "a.svg").read_bytes()
    assert written == figures.systems_comparison(scores, ORDER, TASK, NOTES).svg
    assert [path.name for path in tmp_path.iterdir()] == ["a.svg"]
    links = [v for e in ElementTree.fromstring(written).iter() for k, v in e.items() if k.endswith("href")]
    assert links
    assert all(link.startswith("#") for link in links)


def test_hostile_names_are_drawn(scores: pd.DataFrame, tests: pd.DataFrame) -> None:
    name = r"$\evil$ <script>"
    renamed = scores.replace({"system": {"auxformer": name}})
    for chart in (
        figures.systems_comparison(renamed, [name, "mult"], TASK),
        figures.missing_modality(renamed, [name], TASK),
        figures.paired_differences(renamed, tests, [name], TASK),
    ):
        assert b"<script" not in chart.svg


DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)
"""Linear RGB as seen without M cones (Machado, Oliveira and Fernandes 2009, severity 1)."""


def test_colours_differ_without_m_cones() -> None:
    rgb = np.array([to_rgb(colour) for colour in COLOURS])
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    seen = np.clip(linear @ DEUTERANOPIA.T, 0, 1) ** (1 / 2.2)
    assert pdist(seen).min() > 0.1  # red and green of equal lightness come to 0.02 and less


def test_one_system_alone(scores: pd.DataFrame, tests: pd.DataFrame) -> None:
    chart = figures.paired_differences(scores, tests.head(0), ["mult"], TASK)
    assert len(chart.figure.axes[0].lines) == 1  # the zero line
    assert len(figures.systems_comparison(scores, ["mult"], TASK).figure.axes[0].patches) == 1
