"""MTCNN (Zhang et al. 2016, arXiv 1604.02878) over batches of frames, with the networks of facenet-pytorch.

The faces are those that ``facenet_pytorch.MTCNN.detect`` finds in the frames at
full size, in a fraction of its time: every scale and every candidate is read
from one integral image a frame, all candidates of a batch at once, and scales
finer than the smallest face asked for are left out while the others keep their
places.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from facenet_pytorch.models.mtcnn import ONet, PNet, RNet
from facenet_pytorch.models.utils.detect_face import (
    batched_nms_numpy,
    bbreg,
    fixed_batch_process,
    generateBoundingBox,
    pad,
    rerec,
)
from torch import Tensor
from torchvision.ops.boxes import batched_nms

from avemo.faces.integral import Integral

WINDOW_PX = 12
"""Side of the squares that the first network judges."""
FINEST_PX = 20
"""The pyramid's first scale shows faces of this size in one window; MTCNN's default."""


class Candidates(NamedTuple):
    """``boxes (N, 5)``: corners and score; ``frame (N,)``: which of the batch each is in."""

    boxes: Tensor
    frame: Tensor

    def best(self, overlap: float) -> Tensor:
        """Indices of those that no better one of the same frame overlaps more."""
        return batched_nms(self.boxes[:, :4], self.boxes[:, 4], self.frame, overlap)


class Cascade:
    """Three networks, each of which refines what the one before proposed, where its score passes a threshold."""

    def __init__(self, thresholds: tuple[float, float, float], factor: float, device: torch.device):
        self._thresholds, self._factor, self._device = thresholds, factor, device
        nets = (net().to(device, memory_format=torch.channels_last).eval() for net in (PNet, RNet, ONet))
        self._propose_net, self._refine_net, self._decide_net = nets

    @torch.inference_mode()
    def detect(self, frames: np.ndarray, min_face_px: float) -> list[np.ndarray]:
        """``frames (n, height, width, 3)`` uint8 RGB to the faces of each, ``(k, 15)`` float32.

        A face is a box ``x0, y0, x1, y1``, its score, and x and y of eyes,
        nose and corners of the mouth, all in pixels.
        """
        pictures = Integral(frames, self._device)
        found = self._decide(pictures, self._refine(pictures, self._propose(pictures, min_face_px)))
        # Parted here, not on a GPU, which would be waited for at each frame.
        faces, frame = (each.cpu() for each in found)
        return [faces[frame == number].numpy() for number in range(len(frames))]

    def _propose(self, pictures: Integral, min_face_px: float) -> Candidates:
        """Windows of each scale that may hold a face, moved and made square."""
        height, width = pictures.height, pictures.width
        frame = torch.arange(pictures.frames, device=self._device)
        whole = torch.tensor([0, 0, width, height], device=self._device).expand(len(frame), 4)
        boxes, frames = [torch.zeros(0, 9, device=self._device)], [frame[:0]]
        for scale in self.scales(min(height, width), min_face_px):
            size = (int(height * scale + 1), int(width * scale + 1))
            move, score = self._propose_net(_normal(pictures.shrunk(frame, whole, size)))
            found, owner = generateBoundingBox(move, score[:, 1], scale, self._thresholds[0])
            kept = Candidates(found[:, :5], owner).best(0.5)
            boxes.append(found[kept])
            frames.append(owner[kept])
        found, owner = torch.cat(boxes), torch.cat(frames)
        kept = Candidates(found[:, :5], owner).best(0.7)
        found, owner = found[kept], owner[kept]
        side = (found[:, 2:4] - found[:, :2]).repeat(1, 2)
        moved = torch.cat([found[:, :4] + found[:, 5:] * side, found[:, 4:5]], dim=1)
        return Candidates(rerec(moved), owner)

    def scales(self, shorter_px: int, min_face_px: float) -> list[float]:
        """Those of the image pyramid on which faces of this size and larger are looked for."""
        scales = []
        scale = WINDOW_PX / FINEST_PX
        while shorter_px * scale >= WINDOW_PX:
            if WINDOW_PX / (scale * self._factor) > min_face_px:
                scales.append(scale)
            scale *= self._factor
        return scales

    def _refine(self, pictures: Integral, candidates: Candidates) -> Candidates:
        """Those that the second network takes for faces, moved and made square."""
        candidates, (move, score) = self._judged(pictures, candidates, self._refine_net, 24)
        passed = score[:, 1] > self._thresholds[1]
        boxes = torch.cat([candidates.boxes[passed, :4], score[passed, 1:]], dim=1)
        found = Candidates(boxes, candidates.frame[passed])
        kept = found.best(0.7)
        return Candidates(rerec(bbreg(found.boxes[kept], move[passed][kept])), found.frame[kept])

    def _decide(self, pictures: Integral, candidates: Candidates) -> tuple[Tensor, Tensor]:
        """``(N, 15)`` faces and the frame of each."""
        candidates, (move, points, score) = self._judged(pictures, candidates, self._decide_net, 48)
        passed = score[:, 1] > self._thresholds[2]
        boxes = torch.cat([candidates.boxes[passed, :4], score[passed, 1:]], dim=1)
        side = boxes[:, 2:4] - boxes[:, :2] + 1
        # All x come before all y.
        landmarks = points[passed].view(-1, 2, 5).transpose(1, 2) * side[:, None] + boxes[:, None, :2] - 1
        boxes, frame = bbreg(boxes, move[passed]), candidates.frame[passed]
        kept = batched_nms_numpy(boxes[:, :4], boxes[:, 4], frame, 0.7, "Min")
        return torch.cat([boxes, landmarks.reshape(-1, 10)], dim=1)[kept], frame[kept]

    def _judged(
        self, pictures: Integral, candidates: Candidates, net: torch.nn.Module, side_px: int
    ) -> tuple[Candidates, tuple[Tensor, ...]]:
        """The candidates that lie in their frames, and what a network says of each."""
        above, below, left, right = pad(candidates.boxes, pictures.width, pictures.height)
        corners = np.stack([left - 1, above - 1, right, below], axis=1)
        inside = torch.from_numpy((corners[:, 2] > corners[:, 0]) & (corners[:, 3] > corners[:, 1]))
        inside = inside.to(self._device)
        rectangles = torch.from_numpy(corners).long().to(self._device)[inside]
        candidates = Candidates(candidates.boxes[inside], candidates.frame[inside])
        crops = _normal(pictures.shrunk(candidates.frame, rectangles, (side_px, side_px)))
        if len(crops) == 0:
            # The networks cannot do without any picture.
            return candidates, tuple(part[:0] for part in net(crops.new_zeros(1, *crops.shape[1:])))
        return candidates, fixed_batch_process(crops, net)


def _normal(pixels: Tensor) -> Tensor:
    return (pixels - 127.5) / 128
