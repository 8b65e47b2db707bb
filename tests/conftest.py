"""Fixtures that several test folders share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from avemo.synthetic.miniatures import MINIATURES

os.environ.setdefault("HF_HUB_OFFLINE", "1")

# Machines are shared: how long an example takes says nothing.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")

SLOW_LIMIT_S = 3000
"""Of a test that is marked slow; the others' stands in pyproject.toml."""

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give slow tests their time."""
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.timeout(SLOW_LIMIT_S))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The project's root folder."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real inputs that lie beside the checkout, never in it."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real inputs are not here: no folder {folder}")
    return folder


@pytest.fixture(scope="session")
def miniatures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every corpus' miniature, by name."""
    folder = tmp_path_factory.mktemp("miniatures")
    for name in MINIATURES:
        MINIATURES.load(name)(folder / name)
    return {name: folder / name for name in MINIATURES}
