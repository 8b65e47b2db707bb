"""A made-up run: four systems on five splits, with the tests' numbers from SciPy."""

from __future__ import annotations

import zlib

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from avemo.dataset.tasks import Classes
from avemo.report import figures, page, tables
from avemo.report.opening import Basis
from avemo.report.scores import honesty_check

SYSTEMS = ["auxformer", "av_ladder", "mult", "early_fusion"]
CLASSES = ["anger", "disgust", "fear", "happy", "neutral", "sad"]
NOTES = [
    {"kind": "synthetic", "text": "demo corpus: generated faces and voices, not people"},
    {"kind": "random weights", "text": "EfficientNet-B2: random-seed-0"},
]
HOSTILE = "<script>alert(1)</script>"
LEVELS = {
    **{"auxformer": 0.62, "av_ladder": 0.585, "mult": 0.625, "early_fusion": 0.23},
    **{"chance": 0.16, "majority": 0.07},
}
METRICS = [f"{mean}_{score}" for mean in ("macro", "micro") for score in ("precision", "recall", "f1")]


@pytest.fixture(scope="session")
def scores() -> pd.DataFrame:
    rng, rows = np.random.default_rng(0), []
    for system, level in LEVELS.items():
        lost = {"av": 0.0, "audio": 0.09, "visual": 0.17}
        modalities = ["av"] if system in ("chance", "majority", "early_fusion") else list(lost)
        for modality in modalities:
            for split in range(5):
                macro = level - lost[modality] + 0.02 * rng.standard_normal()
                values = [macro + 0.01, macro - 0.01, macro, *([macro + 0.05] * 3)]
                rows += [(system, split, modality, m, v) for m, v in zip(METRICS, values, strict=True)]
    return pd.DataFrame(rows, columns=["system", "split", "modality", "metric", "value"])


@pytest.fixture(scope="session")
def tests(scores: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (modality, metric), part in scores.groupby(["modality", "metric"], sort=False):
        wide = part.pivot(index="split", columns="system", values="value")
        for system in [name for name in SYSTEMS[1:] if name in wide]:
            found = stats.ttest_rel(wide["auxformer"], wide[system], alternative="greater")
            low, high = stats.ttest_rel(wide["auxformer"], wide[system]).confidence_interval(0.95)
            d = wide["auxformer"] - wide[system]
            corrected = d.mean() / (d.std() * np.sqrt(1 / 5 + 0.15 / 0.7))
            rows.append(
                {
                    **{"reference": "auxformer", "system": system, "modality": modality, "metric": metric},
                    **{"mean_difference": d.mean(), "t": found.statistic, "df": 4, "p": found.pvalue},
                    **{"p_holm": min(1.0, 3 * found.pvalue), "p_corrected": stats.t.sf(corrected, 4)},
                    **{"effect_size": d.mean() / d.std(), "ci_low": low, "ci_high": high, "tail": "greater"},
                }
            )
    return pd.DataFrame(rows)


@pytest.fixture(scope="session")
def predictions() -> pd.DataFrame:
    rng, parts = np.random.default_rng(1), []
    for system in SYSTEMS:
        for modality in ("av", "audio"):
            for split in range(5):
                target = rng.integers(0, 6, 60)
                right = rng.random(60) < LEVELS[system]
                prediction = np.where(right, target, rng.integers(0, 6, 60))
                ids = {"clip_id": [f"c{i:03}" for i in range(60)], "speaker": "s", "target": target}
                keys = {"system": system, "split": split, "modality": modality}
                parts.append(pd.DataFrame({**keys, **ids, "prediction": prediction}))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="session")
def history() -> pd.DataFrame:
    rng, rows = np.random.default_rng(2), []
    for system in SYSTEMS:
        for split in range(5):
            for epoch in range(12 + 2 * split):
                learned = LEVELS[system] * (1 - np.exp(-epoch / 4)) + 0.01 * rng.standard_normal()
                rows.append(
                    (system, split, epoch, 1e-4, 2 - 1.5 * learned, 2 - 1.4 * learned, learned, learned)
                )
    columns = ["system", "split", "epoch", "lr", "train_total", "dev_loss", "dev_macro_f1", "dev_micro_f1"]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture(scope="session")
def clips() -> pd.DataFrame:
    rows = []
    for stage in ("faces", "visual", "audio"):
        for i in range(20):
            failed = stage == "faces" and i < 2
            status = "no_face" if failed else "ok"
            rows.append((f"c{i:03}", stage, status, "no box above 0.6" * failed, 0 if failed else 1100))
    return pd.DataFrame(rows, columns=["clip_id", "stage", "status", "detail", "frames"])


@pytest.fixture(scope="session")
def costs() -> pd.DataFrame:
    rows = [("auxformer", 8093453, 312.25, 1420.0), ("av_ladder", 45_000_000, 901.5, 3020.5)]
    rows += [("mult", 2_100_000, 250.0, 800.0), ("early_fusion", 120_000, 12.0, np.nan)]
    return pd.DataFrame(rows, columns=["system", "parameters", "train_seconds_mean", "peak_memory_mb"])


TASK = Classes(CLASSES)
PAGE_NOTES = [{"kind": "synthetic", "text": "faces & voices"}, {"kind": "random weights", "text": "seed 0"}]


def _png() -> bytes:
    """A grey picture of one pixel."""
    parts = [
        (b"IHDR", bytes([0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0])),
        (b"IDAT", zlib.compress(b"\0\x80")),
        (b"IEND", b""),
    ]
    chunks = [
        len(x).to_bytes(4, "big") + name + x + zlib.crc32(name + x).to_bytes(4, "big") for name, x in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.fixture(scope="session")
def context(
    scores: pd.DataFrame,
    tests: pd.DataFrame,
    predictions: pd.DataFrame,
    history: pd.DataFrame,
    clips: pd.DataFrame,
    costs: pd.DataFrame,
) -> page.Context:
    hostile = clips.replace({"clip_id": {"c000": HOSTILE}})
    made = [
        tables.main_table(scores, tests, SYSTEMS, TASK, PAGE_NOTES),
        tables.missing_modality_table(scores, SYSTEMS, TASK, PAGE_NOTES),
        tables.tests_table(tests, SYSTEMS, TASK, PAGE_NOTES),
        tables.per_class_table(predictions, scores, SYSTEMS, TASK, PAGE_NOTES),
        tables.costs_table(costs, SYSTEMS, PAGE_NOTES),
        tables.clip_status_table(hostile, PAGE_NOTES),
        tables.failed_clips_table(hostile, PAGE_NOTES),
        tables.plain_table("an_extra_one", "Extra", "Not in any section.", costs, PAGE_NOTES),
    ]
    charts = [
        figures.systems_comparison(scores, SYSTEMS, TASK, PAGE_NOTES),
        figures.training_curves(history, SYSTEMS, TASK, PAGE_NOTES),
    ]
    return page.Context(
        **{
            "run": f"run {HOSTILE}",
            "folder": "results/demo",
            "basis": Basis("demo", clips=20, speakers=4, failed=1, features={"audio": "compare_lld"}),
            "order": SYSTEMS,
            "task": TASK,
            "honesty": honesty_check(scores, TASK),
        },
        **{"tests": tests, "tables": made, "charts": charts, "notes": PAGE_NOTES, "contact_sheet": _png()},
        **{"config_yaml": f"run: {HOSTILE}\n", "versions": {"torch": "2.11.0"}, "hardware": {"gpu": "none"}},
        **{"fingerprints": {"splits": "0a1b"}, "commands": ["make demo"]},
    )
