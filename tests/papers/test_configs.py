"""Choices of protocol that the papers' configs make, held against what the papers say."""

from __future__ import annotations

import re
from typing import Any

import pytest

from avemo.papers.definitions import read_paper
from avemo.study.config import read_config
from avemo.study.layers import expand


def said_of_training(paper: str, *runs: str, **values: Any) -> list[tuple[str, str, str, Any]]:
    return [(paper, run, f"training.{name}", value) for run in runs for name, value in values.items()]


MEANS = ("micro", "macro")
NO_BALANCE = [("auxformer", run, "splits.balance", "none") for run in ("crema_d", "msp_improv")]
SAID = [
    # "Random splits in a speaker-independent manner", sections 5.1 and 5.
    *NO_BALANCE,
    ("av_ladder", "crema_d", "splits.balance", "none"),
    # AuxFormer, section 4.1.2, and AV-Ladder, section 4.3, z-normalise the acoustic features, no text the faces'.
    *[
        ("auxformer", run, "training.normalise", {"audio": "train", "visual": "none"})
        for run in ("crema_d", "msp_improv")
    ],
    ("av_ladder", "crema_d", "training.normalise", {"audio": "train", "visual": "none"}),
    # UAVM's repository, egs/vggsound/run_uavm.sh: as many positions, over the whole clip.
    *[
        ("vavl", run, "systems.uavm.config", {"length": 30, "fit": "pool"})
        for run in ("crema_d", "msp_improv")
    ],
    # Schedules: AuxFormer, section 5.1; AV-Ladder, section 5; VAVL, section 4.3; co-learning, section 4.2.
    *said_of_training(
        "auxformer",
        *("crema_d", "msp_improv"),
        **{"epochs": 20, "batch_size": 32, "lr": 7.25e-4, "clip_norm": 0.8, "plateau_patience": 5},
    ),
    *said_of_training(
        "av_ladder",
        *("crema_d", "lambda_search"),
        **{"epochs": 40, "batch_size": 64, "lr": 7.25e-4, "clip_norm": 0.8, "plateau_patience": 6},
    ),
    *said_of_training("vavl", "crema_d", "msp_improv", epochs=20, lr=5e-5, schedule="none", clip_norm=None),
    *said_of_training("vavl", "crema_d", batch_size=32),
    *said_of_training("vavl", "msp_improv", batch_size=16),
    *said_of_training("colearning", "cmu_mosei", batch_size=16, optimizer="radam"),
    # "Randomly replacing the visual or the acoustic features layers with zeros with 20% probability each", section 4.3.
    *[
        ("auxformer", run, "systems.auxformer_optimized.training", {"modality_drop": 0.2})
        for run in ("crema_d", "msp_improv")
    ],
    # Three weights of the top layer about the printed one, 0.1.
    *[
        (
            "av_ladder",
            "lambda_search",
            f"systems.lambda_2_{key}.config.reconstruction_weights",
            [0.5, 0.5, top],
        )
        for key, top in (("500", 0.5), ("100", 0.1), ("020", 0.02))
    ],
    # Half of the clips, and the released code's alpha, 2 for classes and 1 for attributes.
    *[
        ("vavl", run, f"systems.vavl_unpaired.{place}", value)
        for run, alpha in (("crema_d", 2), ("msp_improv", 1))
        for place, value in (("training.unpaired", 0.5), ("config.alpha", alpha))
    ],
    # VAVL's released code.
    *said_of_training("vavl", "crema_d", "msp_improv", betas=[0.95, 0.999], weight_decay=5e-7),
    *[
        ("vavl", run, "training.normalise", {"audio": "none", "visual": "train"})
        for run in ("crema_d", "msp_improv")
    ],
]


@pytest.mark.parametrize(("paper", "run", "place", "value"), SAID)
def test_a_config_says_what_its_paper_says(repository, paper, run, place, value):
    found: Any = expand(read_config(repository / "config" / "papers" / f"{paper}.yaml"))[run]
    for key in place.split("."):
        found = found[key]
    assert found == value


@pytest.mark.parametrize(
    ("paper", "table", "comparisons"),
    [
        # Section 5.3: gains with one modality, "while keeping strong performance in audiovisual scenarios".
        (
            "auxformer",
            "figure2",
            [(f"optimized_{mean}", [f"standard_{mean}"], "splits", m) for m in (None, 2.0) for mean in MEANS],
        ),
        # Section 5: "assigning less weight to the top layer yielded better results".
        (
            "av_ladder",
            "lambda_search",
            [("lambda_2_100", ["lambda_2_500", "lambda_2_020"], "splits", None)],
        ),
        # Section 5.1: "the only one to hold stronger predictions in audio-visual settings over unimodal settings".
        (
            "vavl",
            "over_unimodal",
            [(f"{m}_av", [f"{m}_a", f"{m}_v"], "splits", None) for m in ("vavl", "uavm", "auxformer")],
        ),
        ("vavl", "unpaired", [("vavl", ["vavl_unpaired"], "splits", None)]),
        # Section 4.3 compares them by input; there is one split.
        (
            "colearning",
            "table2",
            [
                ("proposed_av", ["conventional_av"], "clips", None),
                ("proposed_audio", ["conventional_audio", "baseline_audio_audio"], "clips", None),
                ("proposed_visual", ["conventional_visual", "baseline_visual_visual"], "clips", None),
            ],
        ),
    ],
)
def test_what_a_paper_claims_is_tested(paper, table, comparisons):
    (found,) = (t for t in read_paper(paper).tables if t.name == table)
    assert comparisons == [(*one.rows, list(one.against), one.over, one.margin) for one in found.comparisons]


def test_papers_read_what_the_tuning_config_writes(repository):
    """Else a person tunes for days, and the paper's run asks for weights that are not there."""
    tuned = read_config(repository / "config" / "finetuning.yaml")
    for paper, name, network in (
        ("vavl", "wav2vec2", "speech"),
        ("av_ladder", "vgg_face_affectnet", "faces"),
    ):
        paths = read_config(repository / "config" / "papers" / f"{paper}.yaml")["paths"]
        assert paths[name] == tuned[network]["out"]
    page = (repository / "docs" / "how-to" / "fine_tune.md").read_text()
    assert set(re.findall(r"weights: (weights/\w+)", page)) == {
        tuned[of]["out"] for of in ("speech", "faces")
    }


def test_papers_are_cited_as_what_they_are(repository):
    """The number of VAVL's preprint and the authors of interactive co-learning, wherever the package gives them."""
    texts = {path: path.read_text() for path in (repository / "pipeline" / "avemo").rglob("*.py")}
    numbers = {n for text in texts.values() for n in re.findall(r"VAVL[^.;]{0,40}arXiv (\d{4}\.\d{5})", text)}
    assert numbers == {"2305.07216"}
    authors = [who for text in texts.values() for who in re.findall(r"co-learning \((\w+) et al", text)]
    assert set(authors) == {"Takashima"}
