"""Fine-tuning wav2vec 2.0 on arousal, valence and dominance, as VAVL does on MSP-Podcast.

Goncalves et al., VAVL (arXiv 2305.07216v1, section 4.2): ``wav2vec2-large-robust``,
mean pooling, two fully connected layers of 1024 with layer norm and ReLU, three
outputs, dropout 0.5, Adam 1e-4, batches of 32, 10 epochs. Of the network's 24
layers VAVL's released code keeps the first 12, as here. The paper leaves open: the
loss (Σ (1 - CCC) here), the convolutions (frozen here, as Wagner et al., IEEE Trans.
PAMI 45(9), 2023), and the length of sound in training (the first 12 s, where
VAVL's released code cuts).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from avemo.base import metrics
from avemo.base.contracts import AvemoError, Clip, located
from avemo.corpora.csv_file import stream_csv
from avemo.features.wav2vec2 import Wav2Vec2
from avemo.features.wav2vec2_encoder import STEP, WINDOW, frame_count
from avemo.features.wav2vec2_network import load_network
from avemo.features.waves import Wave, utterance_statistics
from avemo.finetuning.loop import Batch, Schedule
from avemo.media.sound import read_audio
from avemo.media.survey import surveyed
from avemo.weights.find import Weights

ATTRIBUTES = ("arousal", "valence", "dominance")
EPSILON = 1e-8


class SpeechTuning(Schedule):
    """The paper's numbers."""

    weights: str = located()
    """Where to start: as the extractor's ``weights``."""
    revision: str | None = None
    epochs: int = Field(10, ge=1)
    batch_size: int = Field(32, ge=2)
    """The CCC of a mini-batch needs at least two."""
    lr: float = Field(1e-4, gt=0)
    layers: int = Field(12, ge=1)
    hidden: int = Field(1024, ge=1)
    dropout: float = Field(0.5, ge=0, lt=1)
    freeze_convolutions: bool = True
    longest_s: float = Field(12.0, gt=0)
    """Sound after this is left out."""


@dataclass(frozen=True)
class Turn:
    """One example: a sound file and its ``targets`` in the order of `ATTRIBUTES`."""

    path: Path
    targets: tuple[float, ...]


def read_turns(table: Path) -> dict[str, list[Turn]]:
    """Train and dev side of a CSV with ``path, arousal, valence, dominance, split``; test rows are not read.

    ``split`` is train, dev or test; paths are relative to the table. Raises
    `AvemoError` for another table and for a side without rows.
    """
    sides: dict[str, list[Turn]] = {"train": [], "dev": [], "test": []}
    columns = ("path", *ATTRIBUTES, "split")
    for number, row in stream_csv(table, columns, "a CSV of speaking turns", "correct the path", ATTRIBUTES):
        sides[_side(table, number, row)].append(_turn(table, number, row))
    for side in ("train", "dev"):
        if not sides[side]:
            raise AvemoError(f"{table}: expected rows with split {side}, found none; add some")
    return {side: sides[side] for side in ("train", "dev")}


def _side(table: Path, number: int, row: dict[str, str]) -> str:
    if row["split"] not in ("train", "dev", "test"):
        raise AvemoError(
            f"{table}, line {number}: expected split train, dev or test, found {row['split']!r}; correct it"
        )
    return row["split"]


def _turn(table: Path, number: int, row: dict[str, str]) -> Turn:
    try:
        targets = tuple(float(row[name]) for name in ATTRIBUTES)
    except (TypeError, ValueError):
        targets = (float("nan"),)
    if not np.isfinite(targets).all():
        found = {name: row[name] for name in ATTRIBUTES}
        raise AvemoError(f"{table}, line {number}: expected a number each, found {found}; correct the row")
    return Turn(table.parent / row["path"], targets)


class Turns:
    """The turns as `avemo.finetuning.loop.TrainDev`: sound is decoded batch by batch."""

    def __init__(self, sides: dict[str, list[Turn]], config: SpeechTuning):
        self._train, self._dev = sides["train"], sorted(sides["dev"], key=lambda turn: turn.path)
        self._config = config

    @property
    def n_train(self) -> int:
        return len(self._train)

    def train(self, generator: torch.Generator) -> Iterator[Batch]:
        """Every turn once, shuffled."""
        order = torch.randperm(len(self._train), generator=generator).tolist()
        return self._batches([self._train[index] for index in order])

    def dev(self) -> Iterator[Batch]:
        """Every turn once, by name."""
        return self._batches(self._dev)

    def _batches(self, turns: Sequence[Turn]) -> Iterator[Batch]:
        size = self._config.batch_size
        for first in range(0, len(turns), size):
            chosen = turns[first : first + size]
            waves = [self._wave(turn) for turn in chosen]
            yield Batch(
                inputs=(
                    nn.utils.rnn.pad_sequence(waves, batch_first=True),
                    torch.tensor([len(wave) for wave in waves]),
                ),
                targets=torch.tensor([turn.targets for turn in chosen]),
                names=tuple(turn.path.name for turn in chosen),
            )

    def _wave(self, turn: Turn) -> Tensor:
        """Normalised as the extractor does, so that tuned and extracted frames agree."""
        name = turn.path.stem
        longest_s = self._config.longest_s
        is_longer = surveyed(turn.path, name).end_s > longest_s
        clip = Clip(name, name, name, audio_path=turn.path, end_s=longest_s if is_longer else None)
        signal = read_audio(clip, Wav2Vec2.rate_hz)
        if len(signal) < WINDOW:
            raise AvemoError(
                f"{turn.path}: expected at least {WINDOW} samples at 16 kHz, found {len(signal)}; leave it out"
            )
        whole = (frame_count(len(signal)) - 1) * STEP + WINDOW
        return Wave(signal, *utterance_statistics(signal)).cut(0, whole)


class SpeechRegressor(nn.Module):
    """wav2vec 2.0, the mean of its frames, and a head for `ATTRIBUTES`."""

    def __init__(self, network: Any, config: SpeechTuning):
        super().__init__()
        self.network = network
        if config.freeze_convolutions:
            network.freeze_feature_encoder()
        self.head = nn.Sequential(
            *_hidden(network.config.hidden_size, config),
            *_hidden(config.hidden, config),
            nn.Linear(config.hidden, len(ATTRIBUTES)),
        )

    def forward(self, waves_BS: Tensor, lengths_B: Tensor) -> Tensor:
        """Padded ``waves (batch, samples)`` of so many samples each to ``(batch, 3)``."""
        samples_BS = torch.arange(waves_BS.shape[1], device=waves_BS.device) < lengths_B[:, None]
        x_BTD = self.network(waves_BS, attention_mask=samples_BS.long()).last_hidden_state
        frames_B1 = ((lengths_B - WINDOW) // STEP + 1).clamp(min=0)[:, None]
        mask_BT1 = (torch.arange(x_BTD.shape[1], device=x_BTD.device) < frames_B1)[..., None]
        return self.head((x_BTD * mask_BT1).sum(1) / frames_B1)


def _hidden(width: int, config: SpeechTuning) -> tuple[nn.Module, ...]:
    layer = nn.Linear(width, config.hidden)
    return layer, nn.LayerNorm(config.hidden), nn.ReLU(), nn.Dropout(config.dropout)


def start_network(weights: Weights, config: SpeechTuning) -> SpeechRegressor:
    """The regressor before its first epoch; its head is drawn under the schedule's seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return SpeechRegressor(load_network(weights, config.layers), config)


def ccc_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Σ over the columns of 1 - CCC, CCC = 2 cov / (σx² + σy² + (μx - μy)²), population moments over the rows."""
    dx, dy = outputs - outputs.mean(0), targets - targets.mean(0)
    spread = dx.square().mean(0) + dy.square().mean(0) + (outputs.mean(0) - targets.mean(0)).square()
    return (1 - 2 * (dx * dy).mean(0) / (spread + EPSILON)).sum()


def ccc_scores(outputs: Tensor, targets: Tensor) -> dict[str, float]:
    """CCC of each attribute."""
    return {
        f"ccc_{name}": metrics.ccc(targets[:, column].numpy(), outputs[:, column].numpy())
        for column, name in enumerate(ATTRIBUTES)
    }


def save_tuned(folder: Path, model: SpeechRegressor) -> None:
    """The network in transformers' format, which the extractor's ``weights`` reads, and the head under ``head``."""
    from safetensors.torch import save_file
    from transformers import Wav2Vec2FeatureExtractor

    model.network.save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    (folder / "head").mkdir(exist_ok=True)
    save_file(model.head.state_dict(), folder / "head" / "head.safetensors")
