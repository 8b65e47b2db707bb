"""Systems: one file and one line here each; or of another package (`avemo.base.registry`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from avemo.base.registry import Registry

if TYPE_CHECKING:
    from avemo.models.base import System

MODELS = Registry(
    "model",
    base="avemo.models.base:System",
    auxformer="avemo.models.auxformer:AuxFormer",
    auxformer_unimodal="avemo.models.auxformer_unimodal:UnimodalAuxFormer",
    av_ladder="avemo.models.av_ladder:AVLadder",
    colearning="avemo.models.colearning:CoLearning",
    conformer="avemo.models.unimodal:UnimodalConformer",
    mult="avemo.models.mult:MulT",
    parthasarathy="avemo.models.parthasarathy:ParthasarathySundaram",
    uavm="avemo.models.uavm:UAVM",
    vavl="avemo.models.vavl:VAVL",
)


def build_model(name: str, *, audio_dim: int, visual_dim: int, outputs: int, **config: Any) -> System:
    """The module registered under ``name``, for given input widths and number of outputs."""
    model_class = MODELS.load(name)
    return model_class(
        model_class.Config(**config), audio_dim=audio_dim, visual_dim=visual_dim, outputs=outputs
    )
