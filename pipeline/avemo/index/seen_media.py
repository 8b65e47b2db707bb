"""Whether media are still the ones that the clip table has seen: what is decoded lies under the key of those."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from avemo.base.contracts import ClipFailure, MachineError
from avemo.base.file_hashes import FileHashes
from avemo.index.clip_table import Row

HASHES = "hashes.json"
Frames = TypeVar("Frames")


class SeenMedia:
    """Of one clip table. A file is read only where size or times are others than when it was indexed."""

    def __init__(self, table: Path):
        self._hashes = FileHashes(table.with_name(HASHES))

    def guarded(self, modality: str, compute: Callable[..., Frames]) -> Callable[..., Frames]:
        """``compute``, whose first argument is a row, between two looks at the file that it decodes."""

        def looked_at(row: Row, *more: Any) -> Frames:
            self.require(row, modality)
            try:
                found = compute(row, *more)
            except ClipFailure:
                # Recorded, it would lie under the key of the file that was seen.
                self.require(row, modality)
                raise
            self.require(row, modality)
            return found

        return looked_at

    def require(self, row: Row, modality: str) -> None:
        """Raise `MachineError` where the file of a clip's ``modality`` holds other bytes than its row tells.

        A file that is gone, or that the table has not read, is left to who decodes it.
        """
        sound = modality == "audio" and row.audio_path is not None
        name, expected = (row.audio_path, row.audio_sha256) if sound else (row.video_path, row.video_sha256)
        if name is None or expected is None:
            return
        try:
            found = self._hashes.sha256(Path(name))
        except OSError:
            return
        if found != expected:
            raise MachineError(
                f"{row.clip_id}: expected {name} as the clip table has seen it (sha-256 {expected[:12]}), "
                f"found other bytes ({found[:12]}); run the workflow again, which looks at it anew"
            )
