"""A corpus that is drawn and spoken by this package: nothing is downloaded, nobody is recorded.

Actors are procedural faces and source-filter voices. Emotions come in pairs
that one modality confuses and the other tells apart (`prototypes`), so that
fusion has something to win. Names, folders and tables are CREMA-D's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from avemo.corpora.base import Counting
from avemo.corpora.crema_d import CremaD
from avemo.synthetic.demo_config import DemoConfig


class Demo(CremaD):
    """The generated corpus: CREMA-D's layout and label rules on generated clips."""

    name = "demo"
    version = 2

    class Config(DemoConfig):
        """What to generate, where, and which of its media to use."""

        root: Path
        media: Literal["both", "video", "audio"] = "both"
        """``both``: sound from AudioWAV, faces from VideoFlash; ``video``: both from VideoFlash."""

    @property
    def synthetic(self) -> bool:
        return True

    def prepare(self, progress: Counting | None = None) -> None:
        """Generate the clips and tables that are missing."""
        from avemo.synthetic.generate import generate

        generate(self.root, self.generated, progress)

    @property
    def generated(self) -> DemoConfig:
        """The part of the config that says what to generate."""
        return DemoConfig(**self.config.model_dump(include=set(DemoConfig.model_fields)))

    @property
    def video_suffix(self) -> str:  # type: ignore[override]
        return f".{self.generated.container}"

    def watched_files(self) -> list[Path]:
        """None: the config decides every file."""
        return []
