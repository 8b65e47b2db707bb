"""The linear baseline against scikit-learn put together by hand, and how the report and the audit speak of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import scoreatpercentile
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from avemo.base.contracts import Clip
from avemo.corpora.base import Label
from avemo.dataset.labels import Labels, make_labels
from avemo.dataset.loading import ClipData
from avemo.dataset.splits import Split
from avemo.dataset.tasks import Classes
from avemo.evaluation.audit import Records, linear_is_fair
from avemo.evaluation.linear import NAME, STRENGTHS, linear_scores
from avemo.evaluation.pooled import pooled
from avemo.report.opening import Basis, is_sound
from avemo.report.scores import honesty_check
from feature_source import Source

CLIPS = [f"c{i:03d}" for i in range(90)]
SPLIT = Split("split00", tuple(CLIPS[:60]), tuple(CLIPS[60:75]), tuple(CLIPS[75:]))


def known(kind: str = "classes") -> Labels:
    """Classes by clip number, or two outputs."""
    generator = np.random.default_rng(5)
    clips = [Clip(clip, f"s{i % 9}", f"s{i % 9}") for i, clip in enumerate(CLIPS)]
    if kind == "classes":
        return make_labels(clips, [Label(c, "abc"[i % 3]) for i, c in enumerate(CLIPS)], kind, list("abc"))
    draw = generator.random((len(CLIPS), 2))
    numbers = (draw > 0.6).astype(float) if kind == "bits" else draw
    given = [Label(c, {"x": row[0], "y": row[1]}) for c, row in zip(CLIPS, numbers, strict=True)]
    return make_labels(clips, given, kind, ["x", "y"])


def source(labels: Labels, dim: int, seed: int, frames: int = 0) -> Source:
    """Frames that lean towards the label."""
    generator = np.random.default_rng(seed)
    lengths = {clip: frames or int(generator.integers(3, 12)) for clip in CLIPS}
    made = Source(lengths, dim, seed)
    for clip, target in labels.targets.items():
        made.x[clip][:, :2] += 3 * np.atleast_1d(np.asarray(target, np.float32))[[0, -1]]
    return made


def by_hand(source: Source, clips) -> np.ndarray:
    def row(x: np.ndarray) -> np.ndarray:
        x = x.astype(np.float64)
        return np.hstack([x.mean(0), x.std(0), *(scoreatpercentile(x, q, axis=0) for q in (10, 50, 90))])

    return np.stack([row(source.x[clip]) for clip in clips])


@pytest.mark.parametrize("dim", [4, 40])  # fewer statistics than train clips, and more
def test_it_is_scikit_learns_with_the_c_that_dev_likes_best(dim):
    labels, data = known(), source(known(), dim, seed=1)
    found = linear_scores(ClipData(data, None, labels.targets), labels, [SPLIT], {"audio": "k"})
    y = {side: [labels.targets[c] for c in clips] for side, clips in SPLIT.sides().items()}
    x = {side: by_hand(data, clips) for side, clips in SPLIT.sides().items()}
    models = [
        make_pipeline(
            StandardScaler(), LogisticRegression(C=c, class_weight="balanced", max_iter=1000, tol=1e-8)
        ).fit(x["train"], y["train"])
        for c in STRENGTHS
    ]
    dev = [f1_score(y["dev"], model.predict(x["dev"]), average="macro") for model in models]
    chosen = found.record["split00"]["chosen"]["av"]
    best = STRENGTHS.index(chosen["strength"])
    assert chosen["dev"] == pytest.approx(dev[best])
    assert best == int(np.argmax(dev))
    p = found.predictions[["p_0", "p_1", "p_2"]].to_numpy()
    assert p == pytest.approx(models[best].predict_proba(x["test"]), abs=2e-3)
    assert found.predictions.clip_id.tolist() == list(SPLIT.test)


def test_attributes_are_ridge_regressions_and_bits_logistic_ones():
    labels = known("attributes")
    data = source(labels, 3, seed=2)
    found = linear_scores(ClipData(data, None, labels.targets), labels, [SPLIT], {})
    x = {side: by_hand(data, clips) for side, clips in SPLIT.sides().items()}
    y = {side: np.array([labels.targets[c] for c in clips]) for side, clips in SPLIT.sides().items()}
    for number, name in enumerate("xy"):
        strength = found.record["split00"]["chosen"]["av"][name]["strength"]
        ours = found.predictions[f"prediction_{name}"]
        theirs = make_pipeline(StandardScaler(), Ridge(alpha=1 / strength)).fit(
            x["train"], y["train"][:, number]
        )
        assert ours.to_numpy() == pytest.approx(theirs.predict(x["test"]), abs=1e-9)
    bits = known("bits")
    data = source(bits, 3, 3)
    found = linear_scores(ClipData(data, None, bits.targets), bits, [SPLIT], {})
    x = {side: by_hand(data, clips) for side, clips in SPLIT.sides().items()}
    for number, name in enumerate("xy"):
        strength = found.record["split00"]["chosen"]["av"][name]["strength"]
        model = LogisticRegression(C=strength, class_weight="balanced", tol=1e-8)
        model = make_pipeline(StandardScaler(), model).fit(
            x["train"], [bits.targets[clip][number] for clip in SPLIT.train]
        )
        p = model.predict_proba(x["test"])[:, 1]
        assert found.predictions[f"p_{name}"].to_numpy() == pytest.approx(p, abs=2e-3)


def test_each_input_has_a_model_of_its_own_and_clips_without_it_are_average():
    labels = known()
    sound, faces = source(labels, 4, 1), Source(dict.fromkeys(CLIPS, 5), 3, 9)
    del faces.x[CLIPS[80]]
    data = ClipData(sound, faces, labels.targets)
    found = linear_scores(data, labels, [SPLIT], {})
    assert list(found.scores.modality.unique()) == ["av", "audio", "visual"]
    f1 = found.scores[found.scores.metric == "macro_f1"].set_index("modality").value
    assert f1["audio"] > f1["visual"] + 0.3
    assert {"f1_a", "f1_b", "f1_c"} <= set(found.scores.metric)
    assert len(found.predictions) == 3 * len(SPLIT.test)


def test_functionals_stay_as_they_are_and_absent_clips_are_nan():
    one = Source(dict.fromkeys("ab", 1), 4)
    assert np.array_equal(pooled(one, ["b", "a"]), np.stack([one.x["b"][0], one.x["a"][0]]))
    assert np.isnan(pooled(one, ["a", "z"])[1]).all()
    pixels = Source({"a": 3}, 4)
    pixels.dtype = "uint8"
    assert pooled(pixels, ["a"]).shape == (1, 8)


def test_a_class_that_train_lacks_has_no_probability():
    labels = known()
    train = tuple(c for c in SPLIT.train if labels.targets[c] != 2)
    data = ClipData(source(labels, 4, 1), None, labels.targets)
    found = linear_scores(data, labels, [replace(SPLIT, train=train)], {})
    assert (found.predictions.p_2 == 0).all()


def test_the_audit_names_a_baseline_that_saw_other_clips():
    labels = known()
    data = ClipData(source(labels, 4, 1), None, labels.targets)
    found = linear_scores(data, labels, [SPLIT], {"audio": "key"})
    runs = {("net", "split00"): {"inputs": {"audio": "key"}}}
    records = Records(labels.groups, [SPLIT], runs, {}, {}, {}, {}, linear=found.record)
    assert not list(linear_is_fair(records))
    leaking = linear_scores(
        data, labels, [replace(SPLIT, train=(*SPLIT.train, *SPLIT.test))], {"audio": "other"}
    )
    offences = list(linear_is_fair(replace(records, linear=leaking.record)))
    assert [o for o in offences if "for train it read 75 clips, not the 60 of its side" in o]
    assert [o for o in offences if "fitted on features audio other" in o]


def scores(**means: float) -> pd.DataFrame:
    """Two splits; a name's modality after two underscores."""
    rows = []
    for name, mean in {"majority": 0.1, "chance": 0.2, **means}.items():
        system, _, modality = name.partition("__")
        rows += [(system, f"split0{i}", modality or "av", "macro_f1", mean + i / 100) for i in (0, 1)]
    return pd.DataFrame(rows, columns=["system", "split", "modality", "metric", "value"])


def test_the_report_names_every_system_that_a_linear_model_beats():
    task = Classes(["a", "b"])
    honesty = honesty_check(
        scores(
            good=0.8, good__audio=0.5, good__visual=0.5, bad=0.6, bad__audio=0.6, bad__visual=0.2,
            deaf=0.4, deaf__visual=0.4, linear=0.65, linear__audio=0.7, linear__visual=0.3,
        ),
        task,
    )  # fmt: skip
    found = {row["system"]: (row["linear_input"], row["beats_linear"]) for row in honesty}
    assert found == {"good": ("audio", True), "bad": ("audio", False), "deaf": ("visual", True)}
    assert NAME not in found
    answer = is_sound(Basis("corpus", 1, 1, 0, {}), honesty, [], task)
    assert "1 of 3 do not beat a linear model" in answer.short
    assert answer.care
    assert "Not above the linear baseline: bad 60.5 % against 70.5 % (audio only)." in answer.sentences
    without = honesty_check(scores(good=0.8), task)
    assert without[0]["beats_linear"] is None
