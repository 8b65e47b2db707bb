"""Fine-tuning VGG-Face on AffectNet's seven emotions, as AV-Ladder does (section 4.2).

"We attach three fully connected (FC) layers to the original VGG-face model and
fine-tune this model for 50 epochs using" Adam, "with a learning rate set to
0.000075". Read here as three new layers of 4096, 4096 and 7 on the last
pooling, since features of 4096 come from the first of them. The paper leaves
open: batch size (32 here), dropout (0.5 after the first two, as VGG), the loss
(cross-entropy), augmentation (none), and whether the convolutions are tuned (they are).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from avemo.base import metrics
from avemo.base.contracts import AvemoError, located, speed
from avemo.base.registry import nearest
from avemo.corpora.csv_file import stream_csv
from avemo.faces.crop import CropPolicy, cut
from avemo.features.vgg_network import Shape, VGGFace, in_our_names, random_network
from avemo.finetuning.loop import Batch, Schedule
from avemo.training.checkpoint import save_model
from avemo.weights.find import Weights, load_state_dict

AFFECTNET_7 = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger")
BOX = ("x0", "y0", "x1", "y1")
MODEL = "model.safetensors"


class FaceTuning(Schedule):
    """The paper's numbers."""

    weights: str = located()
    """Where to start: VGG-Face as published (``vgg_face_dag``), a path, or ``random-seed-<n>``."""
    epochs: int = Field(50, ge=1)
    batch_size: int = Field(32, ge=1)
    lr: float = Field(7.5e-5, gt=0)
    classes: tuple[str, ...] = Field(AFFECTNET_7, min_length=2)
    background: Literal["kept", "masked"] = "masked"
    """As `avemo.faces.crop.CropPolicy`; must be the extractor's."""
    freeze_convolutions: bool = False
    dropout: float = Field(0.5, ge=0, lt=1)
    width: int = Field(64, ge=1)
    px: int = Field(224, ge=32, multiple_of=32)
    hidden: int = Field(4096, ge=1)
    """Sizes of VGG-16; others make a network that only the tests' extractor reads."""
    workers: int = speed(0, ge=0)
    """Processes that read images ahead; 0 reads them in turn."""

    @property
    def shape(self) -> Shape:
        """The network's sizes."""
        return Shape(self.width, self.px, self.hidden)


@dataclass(frozen=True)
class Picture:
    """An image file, its class, and the face's box in it (None: the whole image is the face)."""

    path: Path
    label: int
    box: tuple[float, ...] | None = None


def read_pictures(table: Path, classes: tuple[str, ...]) -> dict[str, list[Picture]]:
    """Train and dev side of a CSV with ``path, label, split`` and optionally ``x0, y0, x1, y1``.

    ``split`` is train, dev or test; test rows are not kept. Paths are relative
    to the table. Raises `AvemoError` naming table and line.
    """
    sides: dict[str, list[Picture]] = {"train": [], "dev": [], "test": []}
    columns = ("path", "label", "split")
    for line, row in stream_csv(table, columns, "a CSV of images", "correct the path", BOX, BOX):
        side = _one_of(f"{table}, line {line}: split", row["split"], tuple(sides))
        label = _one_of(f"{table}, line {line}: label", row["label"], classes)
        box = _box(f"{table}, line {line}", row)
        sides[side].append(Picture(table.parent / row["path"], classes.index(label), box))
    for side in ("train", "dev"):
        if not sides[side]:
            raise AvemoError(f"{table}: expected rows with split {side}, found none; add some")
    return {side: sides[side] for side in ("train", "dev")}


def _one_of(where: str, found: str, known: tuple[str, ...]) -> str:
    if found not in known:
        raise AvemoError(
            f"{where}: expected one of {', '.join(known)}, found {found!r}{nearest(found, known)}"
        )
    return found


def _box(where: str, row: dict[str, str]) -> tuple[float, ...] | None:
    given = [row.get(name) or "" for name in BOX]
    if not any(given):
        return None
    try:
        x0, y0, x1, y1 = box = tuple(float(value) for value in given)
    except ValueError:
        x0 = y0 = x1 = y1 = 0.0
    if not (x0 < x1 and y0 < y1):
        raise AvemoError(
            f"{where}: expected a box x0 < x1, y0 < y1 in pixels, found {given}; correct or empty it"
        )
    return box


class Pictures(Dataset):
    """Face pictures as the extractor sees them: ``(3, px, px)`` RGB in [-1, 1], class, name."""

    def __init__(self, pictures: list[Picture], policy: CropPolicy):
        self.pictures, self.policy = pictures, policy

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, number: int) -> tuple[Tensor, int, str]:
        picture = self.pictures[number]
        crop = cut(*self._image(picture), self.policy)
        return torch.from_numpy(crop).permute(2, 0, 1).float() / 127.5 - 1, picture.label, picture.path.name

    def _image(self, picture: Picture) -> tuple[np.ndarray, np.ndarray]:
        import cv2

        image = cv2.imread(str(picture.path))
        if image is None:
            found = "no image" if picture.path.is_file() else "nothing"
            raise AvemoError(
                f"{picture.path}: expected an image, found {found}; correct the table or the file"
            )
        height, width = image.shape[:2]
        box = picture.box or (0, 0, width, height)
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.array(box, dtype=float)


class FaceSides:
    """The pictures as `avemo.finetuning.loop.TrainDev`."""

    def __init__(self, sides: dict[str, list[Picture]], config: FaceTuning):
        policy = CropPolicy(size_px=config.px, margin=0, background=config.background)
        self._sides = {side: Pictures(pictures, policy) for side, pictures in sides.items()}
        self._config = config

    @property
    def n_train(self) -> int:
        return len(self._sides["train"])

    def train(self, generator: torch.Generator) -> Iterator[Batch]:
        """Every picture once, shuffled."""
        order = torch.randperm(self.n_train, generator=generator).tolist()
        return self._batches("train", order)

    def dev(self) -> Iterator[Batch]:
        """Every picture once, in the table's order."""
        return self._batches("dev", list(range(len(self._sides["dev"]))))

    def _batches(self, side: str, order: list[int]) -> Iterator[Batch]:
        size = self._config.batch_size
        groups = [order[first : first + size] for first in range(0, len(order), size)]
        loader = DataLoader(self._sides[side], batch_sampler=groups, num_workers=self._config.workers)
        for images, labels, names in loader:
            yield Batch((images,), labels, tuple(names))


class FaceClassifier(nn.Module):
    """VGG-Face's convolutions and three new fully connected layers: images to logits ``(batch, classes)``."""

    def __init__(self, trunk: VGGFace, config: FaceTuning):
        super().__init__()
        self.trunk = trunk
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["drop1"] = nn.Dropout(config.dropout)
        layers["fc2"] = nn.Linear(config.hidden, config.hidden)
        layers["relu2"] = nn.ReLU()
        layers["drop2"] = nn.Dropout(config.dropout)
        layers["fc3"] = nn.Linear(config.hidden, len(config.classes))
        self.head = nn.Sequential(layers)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """RGB images in [-1, 1]."""
        return self.head(self.trunk(images_BCHW))


def start_network(weights: Weights, config: FaceTuning) -> FaceClassifier:
    """The classifier before its first epoch: published convolutions, new layers drawn under the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = FaceClassifier(VGGFace(config.shape, "fc1"), config)
    if weights.path is None:
        state = random_network(weights.seed or 0, config.shape, "fc6").state_dict()
    else:
        state = in_our_names(load_state_dict(weights.path), "fc6", weights.path)
    convolutions = {name: value for name, value in state.items() if ".conv" in name}
    model.trunk.load_state_dict(convolutions, strict=False)
    if config.freeze_convolutions:
        for name, parameter in model.trunk.named_parameters():
            parameter.requires_grad_(".conv" not in name)
    return model


def scores(outputs: Tensor, targets: Tensor) -> dict[str, float]:
    """Macro-F1 and accuracy (micro-F1) of logits ``(n, classes)``."""
    truth, found = targets.numpy(), outputs.argmax(-1).numpy()
    return {name: metrics.METRICS[name](truth, found, outputs.shape[1]) for name in ("macro_f1", "accuracy")}


def class_report(outputs: Tensor, targets: Tensor, classes: tuple[str, ...]) -> dict[str, Any]:
    """Precision, recall, F1 and count of each class, and the confusion matrix (rows: truth)."""
    truth, found = targets.numpy(), outputs.argmax(-1).numpy()
    each = metrics.per_class(truth, found, len(classes))
    columns = {
        "class": list(classes),
        "precision": each.precision.tolist(),
        "recall": each.recall.tolist(),
        "f1": each.f1.tolist(),
        "count": each.support.tolist(),
    }
    return {"classes": columns, "confusion": metrics.confusion_matrix(truth, found, len(classes)).tolist()}


def save_tuned(folder: Path, model: FaceClassifier, config: FaceTuning) -> None:
    """`MODEL` in ``folder``, under the names of `avemo.features.vgg_network`'s layout ``finetuned``."""
    state = {name.split(".", 2)[-1]: value for name, value in model.trunk.state_dict(prefix="trunk.").items()}
    state |= model.head.state_dict()
    save_model(folder / MODEL, state, {"classes": list(config.classes), "background": config.background})
