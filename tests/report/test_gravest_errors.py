"""Error examples: which clips are the gravest, in each task's own words, and what is drawn of them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from avemo.dataset.tasks import Attributes, Bits, Classes
from avemo.report.gravest_errors import CONTOURS, ErrorCase, errors_chart, gravest_errors

PLACE = {"split": "split00", "modality": "av"}


def frame(rows: list[dict]) -> pd.DataFrame:
    return pd.DataFrame([PLACE | {"clip_id": f"clip{i}"} | row for i, row in enumerate(rows)])


def test_classes_are_worse_the_surer_the_wrong_answer():
    right = {"target": 0, "prediction": 0, "p_0": 0.9, "p_1": 0.1}
    close = {"target": 0, "prediction": 1, "p_0": 0.45, "p_1": 0.55}
    sure = {"target": 1, "prediction": 0, "p_0": 0.97, "p_1": 0.03}
    found = gravest_errors(frame([right, close, sure]), Classes(("calm", "glad")))
    assert found.clip_id.tolist() == ["clip2", "clip1"]
    assert found.told.tolist() == [
        "glad taken for calm (97% against 3%)",
        "calm taken for glad (55% against 45%)",
    ]


def test_attributes_are_worse_the_further_off():
    near = {"target_arousal": 0.5, "prediction_arousal": 0.6}
    far = {"target_arousal": 0.9, "prediction_arousal": 0.2}
    found = gravest_errors(frame([near, far]), Attributes(("arousal",)))
    assert found.clip_id.tolist() == ["clip1", "clip0"]
    assert found.told.iloc[0] == "arousal 0.20 (true 0.90)"


def test_bits_are_worse_the_more_of_them_are_wrong():
    names = ("happy", "sad")

    def row(target: tuple[int, int], p: tuple[float, float]) -> dict:
        columns = {f"target_{n}": t for n, t in zip(names, target, strict=True)}
        columns |= {f"p_{n}": x for n, x in zip(names, p, strict=True)}
        return columns | {f"prediction_{n}": int(x > 0.5) for n, x in zip(names, p, strict=True)}

    rows = [row((1, 0), (0.9, 0.1)), row((1, 0), (0.3, 0.2)), row((1, 1), (0.2, 0.1))]
    found = gravest_errors(frame(rows), Bits(names))
    assert found.clip_id.tolist() == ["clip2", "clip1"]
    assert found.told.iloc[0] == "happy, sad taken for none of the emotions"


def test_a_clip_of_several_splits_is_shown_once_and_single_modalities_never():
    wrong = {"target": 0, "prediction": 1, "p_0": 0.2, "p_1": 0.8}
    rows = frame([wrong, wrong, wrong]).assign(clip_id="clip0", split=["s0", "s1", "s2"])
    rows.loc[2, ["clip_id", "modality"]] = ["clip1", "audio"]
    assert gravest_errors(rows, Classes(("calm", "glad")))[["clip_id", "split"]].to_numpy().tolist() == [
        ["clip0", "s0"]
    ]


def test_the_figure_draws_faces_and_voiced_pitch_and_says_what_is_missing():
    times_s = np.array([0.0, 0.016, 0.032])
    contours = {name: np.array([0.0, 120.0, 130.0]) for name in CONTOURS}
    crops = [np.full((8, 8, 3), 10 * i, np.uint8) for i in range(3)]
    cases = [
        ErrorCase("clip0", "calm taken for glad", crops, times_s, contours),
        ErrorCase("clip1", "glad taken for calm", [], times_s, {}),
    ]
    chart = errors_chart(cases, "ours", [{"kind": "synthetic"}])
    faces, pitch, energy, no_face, no_sound = (axes for part in chart.figure.subfigs for axes in part.axes)
    assert faces.images[0].get_array().shape == (8, 24, 3)
    assert np.isnan(pitch.lines[0].get_ydata()).tolist() == [True, False, False]
    assert energy.lines[0].get_ydata().tolist() == [0, 120, 130]
    assert [axes.texts[0].get_text() for axes in (no_face, no_sound)] == ["no face track", "no sound"]
    assert "clip0, calm taken for glad" in chart.alt
