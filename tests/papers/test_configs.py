"""Choices of protocol that the papers' configs make, held against what the papers say."""

from __future__ import annotations

import re
from typing import Any

import pytest

from avemo.study.config import read_config
from avemo.study.layers import expand

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
    # VAVL's released code.
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


def test_papers_read_what_the_tuning_config_writes(repository):
    """Else a person tunes for days, and the paper's run asks for weights that are not there."""
    tuned = read_config(repository / "config" / "finetuning.yaml")
    for paper, name, network in (
        ("vavl", "wav2vec2", "speech"),
        ("av_ladder", "vgg_face_affectnet", "faces"),
    ):
        paths = read_config(repository / "config" / "papers" / f"{paper}.yaml")["paths"]
        assert paths[name] == tuned[network]["out"]


def test_papers_are_cited_as_what_they_are(repository):
    """The number of VAVL's preprint and the authors of interactive co-learning, wherever the package gives them."""
    texts = {path: path.read_text() for path in (repository / "pipeline" / "avemo").rglob("*.py")}
    numbers = {n for text in texts.values() for n in re.findall(r"VAVL[^.;]{0,40}arXiv (\d{4}\.\d{5})", text)}
    assert numbers == {"2305.07216"}
    authors = [who for text in texts.values() for who in re.findall(r"co-learning \((\w+) et al", text)]
    assert set(authors) == {"Takashima"}
