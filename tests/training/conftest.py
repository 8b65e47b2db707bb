"""A finished run that several files look at."""

from __future__ import annotations

import pytest

from training_standins import run_tiny


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """An uninterrupted run and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    return run_tiny(folder), folder
