"""Media that are away leave a corpus as it was; media elsewhere, and any other change, do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from avemo.index.media_hashes import HashCache
from avemo.study.file_contents import HANDED_ON, listing
from avemo.study.layout import Layout
from avemo.study.run import Run
from runs import run_of


@pytest.fixture
def run(tmp_path, monkeypatch) -> Run:
    """A table of one clip whose clip table was made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(HANDED_ON, "{}")
    Path("media").mkdir()
    Path("media/a.mp4").write_bytes(b"film")
    Path("clips.csv").write_text("clip_id,path,speaker\na,media/a.mp4,anna\n")
    run = run_of(corpus={"id": "table", "name": "table", "config": {"csv": "clips.csv"}})
    hashes = HashCache(Layout(run).hashes)
    hashes.sha256(Path("media/a.mp4"))
    hashes.keep_listing(listing("table", run, True))
    hashes.path.parent.mkdir(parents=True, exist_ok=True)
    hashes.save()
    return run


def test_media_that_are_away_change_nothing(run, capsys):
    before = listing("table", run, True)
    Path("media").rename("away")
    assert listing("table", run, True) == before
    assert "table: none of its media is there; its clip table stays as it is" in capsys.readouterr().err


def test_media_that_moved_with_their_table_are_other_media(run):
    before = listing("table", run, True)
    Path("media").rename("elsewhere")
    Path("clips.csv").write_text("clip_id,path,speaker\na,elsewhere/a.mp4,anna\n")
    assert listing("table", run, True) != before
