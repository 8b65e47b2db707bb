"""One clip's prediction uses the weights that its model was trained with, or none."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from avemo.base.contracts import AvemoError, ComponentConfig
from avemo.evaluation import prediction
from avemo.training.checkpoint import save_model


class Network:
    """An extractor whose weights are the bytes of a file."""

    class Config(ComponentConfig):
        weights: str = ""

    def __init__(self, config):
        self.config = config

    def provenance(self) -> dict[str, object]:
        from avemo.weights.hashes import sha256_path

        return {"weights": sha256_path(self.config.weights), "random_weights": False}


@pytest.fixture
def run(tmp_path, monkeypatch) -> SimpleNamespace:
    (tmp_path / "network.pt").write_bytes(b"first")
    monkeypatch.setattr(prediction.EXTRACTORS, "load", lambda name: Network)
    feature = SimpleNamespace(
        extractor="network", config={}, places={"weights": str(tmp_path / "network.pt")}
    )
    return SimpleNamespace(features={"visual": feature})


def test_weights_that_are_others_than_trained_with_are_refused_by_name(run, tmp_path):
    model, weights = tmp_path / "model.safetensors", tmp_path / "network.pt"
    trained = Network(Network.Config(weights=str(weights))).provenance()["weights"]
    save_model(model, {"w": torch.zeros(1)}, {"weights": {"visual": trained}})
    prediction.trained_with(model, run, "visual", [])
    weights.write_bytes(b"other")
    with pytest.raises(
        AvemoError,
        match=rf"network.pt: expected the weights that .*model.safetensors was trained with \({trained[:12]}\)",
    ):
        prediction.trained_with(model, run, "visual", [])
