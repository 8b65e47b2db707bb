"""A small network over the mean of a clip's frames."""

from pydantic import Field
from torch import nn

from avemo.base.contracts import ComponentConfig
from avemo.models.attention import require_frames
from avemo.models.base import Outputs, System


class MeanNet(System):
    """The mean sound of a clip through one hidden layer."""

    version = 1
    tiny = {"width": 4}  # fields for tests

    class Config(ComponentConfig):
        """Fields that a run's config may set."""

        width: int = Field(16, ge=1)

    modalities = ("audio",)

    def __init__(self, config, *, audio_dim, visual_dim, outputs):
        super().__init__(config, audio_dim=audio_dim, visual_dim=visual_dim, outputs=outputs)
        self.layers = nn.Sequential(
            nn.Linear(audio_dim, config.width), nn.ReLU(), nn.Linear(config.width, outputs)
        )

    def forward(self, batch, generator=None):
        """``batch.audio_BTD`` is padded to the longest clip; ``audio_mask_BT`` says which frames are real."""
        require_frames(batch)
        real_BT1 = batch.audio_mask_BT[:, :, None]
        mean_BD = (batch.audio_BTD * real_BT1).sum(dim=1) / real_BT1.sum(dim=1)
        logits_BC = self.layers(mean_BD)
        return Outputs({"audio": logits_BC}, logits_BC)
