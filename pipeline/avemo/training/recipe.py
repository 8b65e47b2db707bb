"""What a training depends on beside its data, and how a system is trained; defaults are AuxFormer's (section 5.1)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, field_validator

from avemo.base.arithmetic import Precision
from avemo.base.contracts import ComponentConfig, Section, left_out, speed
from avemo.base.registry import nearest
from avemo.dataset.normalise import Normalise
from avemo.training import STEPS
from avemo.training.search import Search


def _off(given: Any) -> Any:
    """YAML reads a bare ``off`` as false."""
    return "off" if given is False else given


class TrainingConfig(ComponentConfig):
    """One training schedule; AV-Ladder's is batch 64, 40 epochs, plateau patience 6."""

    procedure: str = "joint"
    """What one mini-batch does: a name in `avemo.training.STEPS`."""
    epochs: int = Field(20, ge=1)
    batch_size: int = Field(32, ge=1)
    """Clips a mini-batch."""
    bucketing: int = Field(1, ge=1)
    """Mini-batches whose clips are drawn together and sorted by length, to pad less; 1: no sorting."""
    precision: Precision = "float32"
    """Of the training passes; ``bfloat16`` is autocast, ``tf32`` has a GPU round factors to 10 bits before it multiplies
    them (on a CPU it is float32). Weights, losses, dev and test are float32 always."""
    optimizer: Literal["adam", "adamw", "radam"] = "adam"
    lr: float = Field(7.25e-4, gt=0)
    """Learning rate of the first epoch."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of the optimiser's two moments; VAVL's code uses 0.95 and 0.999."""
    weight_decay: float = Field(0.0, ge=0)
    clip_norm: float | None = Field(0.8, gt=0)
    """Largest global gradient norm of an update; None: no clipping."""
    schedule: Literal["plateau", "step", "none"] = "plateau"
    """When the rate falls: on a plateau of the dev loss, every ``step_epochs``, or never."""
    plateau_patience: int = Field(5, ge=0)
    """Epochs without a lower dev loss that the rate survives; it falls after one more."""
    plateau_threshold: float = Field(1e-4, ge=0)
    """By which share of the lowest dev loss so far an epoch must stay below it to end a plateau; PyTorch's own."""
    plateau_factor: float = Field(0.1, gt=0, lt=1)
    """What the rate is multiplied by when it falls."""
    step_epochs: int = Field(5, ge=1)
    """Epochs between two falls of the ``step`` schedule."""
    train_share: float = Field(1.0, gt=0, le=1)
    """Share of the train clips that is used; see `learning_curve` of a run."""
    modality_drop: float = Field(0.0, ge=0, le=0.5)
    """Probability that a mini-batch loses its sound, and again that it loses its faces; never both.
    AuxFormer's optimized training uses 0.2."""
    drop_scope: Literal["batch", "clip", "independent"] = "batch"
    """``modality_drop`` strikes a mini-batch, each clip, or each modality of each clip by itself."""
    ablate_visual_clips: float = Field(0.0, ge=0, le=1)
    """Probability that a train clip loses its faces, drawn anew in each epoch (Parthasarathy and Sundaram, ICMI 2020)."""
    ablate_visual_frames: float = Field(0.0, ge=0, le=1)
    """Probability that a face frame of a train clip is zeroed, each by itself (the same)."""
    unpaired: float = Field(0.0, ge=0, le=1)
    """Share of the train clips, the same in every epoch and for every system, of which one modality, drawn by
    coin, is never shown: VAVL's training on unpaired data."""
    normalise: Normalise = Normalise()
    """How frames are scaled. AuxFormer's and AV-Ladder's texts scale sound only, VAVL's code faces only."""
    shuffle: bool = True
    """New order of the clips in every epoch; VAVL's released code keeps one."""
    inplace_flip: bool = False
    """Train and choose on 1 − x of the first attribute (arousal) in every other epoch, the first one
    included: VAVL's released code turns its labels over in place each time it reads them."""
    noisy_dev: bool = False
    """Drop modalities of dev batches too, as AuxFormer's released code does."""
    patience: int | None = Field(None, ge=1)
    """Stop after so many epochs without a lower dev loss. None: all epochs, best checkpoint."""
    dev_loss: Literal["prediction", "heads", "total", "score"] = "prediction"
    """What selects the epoch: cross-entropy of the prediction's logits, the mean over the heads', the whole
    training loss, for which AV-Ladder adds noise and reconstructs, or 1 less the task's first score."""
    dev_inputs: Literal["both", "each"] = "both"
    """The dev loss is that with both modalities, or the mean over both, sound alone and faces alone."""
    visual_first: bool = False
    """``alternating`` starts with the visual step, as VAVL's released code does; its paper starts with audio."""
    sampling: Literal["batch", "clip", "all"] = "batch"
    """``sampled`` draws one head for a whole mini-batch, one for each clip, or takes the mean of all heads."""
    class_weights: Literal["none", "inverse", "effective"] = left_out("none")
    """Of classes, and of each emotion bit's two values, in the loss: by ``inverse`` size in the train part, or by the
    ``effective`` number of its clips (Cui et al., CVPR 2019). The dev loss has the same weights."""
    effective_beta: float = left_out(0.999, ge=0, lt=1)
    """β of ``effective``: 0 weighs all classes alike, near 1 as ``inverse``."""
    focal_gamma: float = left_out(0.0, ge=0)
    """γ of focal loss (Lin et al., ICCV 2017), which makes clips that are already right count less; 0: cross-entropy."""
    draw: Literal["each", "balanced"] = left_out("each")
    """An epoch has ``each`` train clip once, or as many, drawn with replacement so that classes are equally frequent
    (of several outputs: on average over them)."""
    draw_bins: int = left_out(10, ge=2)
    """Of ``balanced`` for attributes: bins of equal width that count as classes."""
    seed: int = Field(0, ge=0)
    """With the names of split and system, the source of every random number of the run."""
    common_random_numbers: bool = False
    """Leave the system's name out of it: all systems of a split then start from one seed, see the clips in one
    order and lose the same of them, so that their differences vary less than those of independent trainings."""
    device: str = speed("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    """``auto``: a GPU if there is one. Equal bytes are promised on the CPU only, and on one kind of processor."""
    checkpoint_s: float = speed(30.0, ge=0)
    """Seconds, at least, from one checkpoint to the next: what a kill may cost beside the epoch under way."""
    compile: Annotated[Literal["off", "auto"], BeforeValidator(_off)] = speed("off")
    """``auto``: on a GPU the passes of ``joint`` are compiled, for a few lengths that batches are padded to, of systems
    that allow it (`System.pads_freely`). Where that fails the log says so, and passes run as they are."""
    threads: int | None = speed(1, ge=1)
    """CPU threads; None leaves PyTorch's choice. Sums may round differently with another number."""

    def over(self, shared: TrainingConfig) -> TrainingConfig:
        """``shared``, with what was given here in its place; of ``normalise`` the modalities that were given."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        if "normalise" in given:
            own = self.normalise.model_dump(exclude_unset=True)
            given["normalise"] = shared.normalise.model_copy(update=own)
        return shared.model_copy(update=given)

    @field_validator("procedure")
    @classmethod
    def _known(cls, procedure: str) -> str:
        if procedure not in STEPS:
            raise ValueError(
                f"unknown procedure{nearest(procedure, STEPS)}; known: {', '.join(sorted(STEPS))}"
            )
        return procedure


class TrainSpec(Section):
    """One system's training, features and splits apart; as JSON without what changes no number."""

    model: str
    version: int | str
    config: dict[str, Any]
    training: Annotated[TrainingConfig, PlainSerializer(TrainingConfig.numbers)]
    search: Search | None = left_out()
    """Fields of config and training that are searched for, in the place of those here."""
