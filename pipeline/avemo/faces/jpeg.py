"""Face crops kept as JPEG, so that every visual feature that wants them so reads no media.

A clip's item is ``x (rows, 512)`` uint8: crop after crop its JPEG behind that JPEG's length in bytes, in as many
rows as it needs, the last filled up with zeros. ``times_s`` repeats a crop's time in each of its rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

import numpy as np

from avemo.base.component import Component
from avemo.base.contracts import FeatureSequence, MachineError, digest
from avemo.base.frames import FrameBuffer
from avemo.faces.crop import CropPolicy

ROW_BYTES = 512
"""A crop of 224 pixels takes some thirty rows, so that half a row lost at its end is little."""
LENGTH = np.dtype("<u4")


class JpegCrops(Component):
    """Crops of one policy and quality."""

    name: ClassVar[str] = "crops"
    version: ClassVar[int] = 1
    libraries = ("av", "opencv-python-headless")

    class Config(CropPolicy):
        """How crops are cut, and what JPEG leaves of them."""

        quality: int
        """OpenCV's scale of 1 to 100. Colour is kept at every pixel (4:4:4)."""

    def __init__(self, config: Config):
        self.config = config

    def key_part(self) -> str:
        """The crops' part of an item's key (`avemo.base.keys`): another encoder makes other pixels."""
        return digest([self.name, self.version, self.config.numbers(), self.versions()])

    def encode(self, crops: Iterable[tuple[float, np.ndarray]]) -> FeatureSequence:
        """``(time_s, crop (size_px, size_px, 3) uint8 RGB)`` to a clip's item; one crop is held at a time."""
        times_s: list[float] = []
        rows = FrameBuffer((ROW_BYTES,), np.uint8)
        for time_s, crop in crops:
            picture = _packed(self._jpeg(time_s, crop))
            times_s += [time_s] * len(picture)
            rows.append(picture)
        return FeatureSequence(rows.array(), np.array(times_s, float))

    def _jpeg(self, time_s: float, crop: np.ndarray) -> np.ndarray:
        import cv2

        colour = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
        options = [cv2.IMWRITE_JPEG_QUALITY, self.config.quality, *colour]
        encoded, jpeg = cv2.imencode(".jpg", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR), options)
        if not encoded:
            raise MachineError(
                f"crop at {time_s:.3f} s: OpenCV {cv2.__version__} encodes no JPEG; install the locked one"
            )
        return jpeg.ravel()


def decoded(clip_id: str, kept: FeatureSequence, size_px: int) -> Iterator[tuple[float, np.ndarray]]:
    """The crops of a clip's item as they were cut, but for JPEG's loss: ``(time_s, (size_px, size_px, 3) uint8 RGB)``.

    Raises `MachineError` naming clip and crop for bytes that are no JPEG of
    this size: the store has checked them, so the clip is not at fault.
    """
    import cv2

    row = number = 0
    while row < len(kept.x):
        (length,) = kept.x[row, : LENGTH.itemsize].view(LENGTH)
        rows = _rows(int(length))
        jpeg = kept.x[row : row + rows].reshape(-1)[LENGTH.itemsize : LENGTH.itemsize + int(length)]
        crop = cv2.imdecode(jpeg, cv2.IMREAD_COLOR) if len(jpeg) else None
        if crop is None or crop.shape != (size_px, size_px, 3):
            found = "bytes that are none" if crop is None else "x".join(map(str, crop.shape))
            raise MachineError(
                f"{clip_id}: crop {number} at {kept.times_s[row]:.3f} s: expected a JPEG of {size_px}x{size_px} "
                f"pixels, found {found}; delete the crops' folder in the cache and its store, and run again"
            )
        yield float(kept.times_s[row]), cv2.cvtColor(crop, cv2.COLOR_BGR2RGB)
        row, number = row + rows, number + 1


def _packed(jpeg: np.ndarray) -> np.ndarray:
    """A JPEG ``(bytes,)`` behind its length, as ``(rows, ROW_BYTES)``."""
    rows = np.zeros((_rows(len(jpeg)), ROW_BYTES), np.uint8)
    flat = rows.reshape(-1)
    flat[: LENGTH.itemsize].view(LENGTH)[0] = len(jpeg)
    flat[LENGTH.itemsize : LENGTH.itemsize + len(jpeg)] = jpeg
    return rows


def _rows(length: int) -> int:
    return -(-(LENGTH.itemsize + length) // ROW_BYTES)
