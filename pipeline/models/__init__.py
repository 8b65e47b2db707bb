"""Systems: one file and one line here each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.registry import Registry

if TYPE_CHECKING:
    from pipeline.models.base import System

MODELS = Registry(
    "model",
    auxformer="pipeline.models.auxformer:AuxFormer",
    auxformer_unimodal="pipeline.models.auxformer_unimodal:UnimodalAuxFormer",
    av_ladder="pipeline.models.av_ladder:AVLadder",
    colearning="pipeline.models.colearning:CoLearning",
    conformer="pipeline.models.unimodal:UnimodalConformer",
    mult="pipeline.models.mult:MulT",
    parthasarathy="pipeline.models.parthasarathy:ParthasarathySundaram",
    uavm="pipeline.models.uavm:UAVM",
    vavl="pipeline.models.vavl:VAVL",
)


def build_model(name: str, *, audio_dim: int, visual_dim: int, outputs: int, **config: Any) -> System:
    """The module registered under ``name``, for given input widths and number of outputs."""
    model_class = MODELS.load(name)
    return model_class(
        model_class.Config(**config), audio_dim=audio_dim, visual_dim=visual_dim, outputs=outputs
    )
