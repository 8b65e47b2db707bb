"""Face crops themselves, for systems that learn their pictures end to end.

Interactive co-learning (section 4, pre-processing): 128 x 128 RGB at 3 frames a second.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from pydantic import Field

from avemo.base.contracts import ComponentConfig, FeatureSequence
from avemo.base.frames import FrameBuffer
from avemo.faces.crop import CropPolicy
from avemo.features.base import VisualExtractor

SIZE_PX, FPS = 128, 3.0


class FaceFrames(VisualExtractor):
    """Each crop's pixels in a row: ``x.reshape(-1, 128, 128, 3)`` are the pictures, uint8 RGB."""

    name = "face_frames"
    version = 1
    dim = SIZE_PX * SIZE_PX * 3
    work = replace(VisualExtractor.work, frames_hz=FPS)

    class Config(ComponentConfig):
        """Which crops."""

        fps: float = Field(default=FPS, gt=0)
        """Pictures kept of each second."""
        margin: float = Field(default=0.2, ge=0)
        """Added on each side of the face box, as a fraction of its larger side."""

    config: Config

    @classmethod
    def crop_policy(cls, config: Config) -> CropPolicy:
        """The box with its margin, a few times a second."""
        return CropPolicy(size_px=SIZE_PX, margin=config.margin, fps=config.fps)

    @property
    def dtype(self) -> str:
        """Pixels."""
        return "uint8"

    def extract(self, crops: Iterable[tuple[float, np.ndarray]]) -> FeatureSequence:
        """Crops ``(128, 128, 3)`` uint8 with their times to ``x (frames, 49152)`` uint8."""
        times_s: list[float] = []
        frames = FrameBuffer((self.dim,), np.uint8)
        for time_s, crop in crops:
            times_s.append(time_s)
            frames.append(crop.reshape(1, self.dim))
        return FeatureSequence(frames.array(), np.array(times_s, float))
