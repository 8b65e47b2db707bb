"""Miniatures that several tests read."""

from pathlib import Path

import pytest

from pipeline.corpora.miniature import MINIATURES

SPEAKERS = {"crema_d": 3, "msp_improv": 6, "cmu_mosei": 3, "msp_podcast": 3, "affectnet": 3}
"""As few as each one's splits allow."""


@pytest.fixture(scope="session")
def miniatures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every corpus' miniature, by name."""
    folder = tmp_path_factory.mktemp("miniatures")
    for name, speakers in SPEAKERS.items():
        MINIATURES.load(name)(folder / name, speakers)
    return {name: folder / name for name in SPEAKERS}
