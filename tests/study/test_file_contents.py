"""Media that are away leave a corpus as it was; media elsewhere, and any other change, do not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from avemo.base.contracts import ConfigError
from avemo.base.made_of import note
from avemo.index.media_hashes import HashCache
from avemo.index.source import source_of
from avemo.study.file_contents import listing
from avemo.study.layout import Layout
from avemo.study.resolve import corpus_of
from avemo.study.run import Run
from runs import run_of


@pytest.fixture
def run(tmp_path, monkeypatch) -> Run:
    """A table of one clip whose clip table was made."""
    monkeypatch.chdir(tmp_path)
    Path("media").mkdir()
    Path("media/a.mp4").write_bytes(b"film")
    Path("clips.csv").write_text("clip_id,path,speaker\na,media/a.mp4,anna\n")
    return indexed(run_of(corpus={"id": "table", "name": "table", "config": {"csv": "clips.csv"}}))


def indexed(run: Run) -> Run:
    """The run, after its clip table was made."""
    layout = Layout(run)
    layout.corpus.mkdir(parents=True, exist_ok=True)
    hashes = HashCache(layout.hashes)
    hashes.sha256(Path("media/a.mp4"))
    hashes.save()
    layout.index.touch()
    note(layout.index, {}, {"files": listing(run), **source_of(corpus_of(run.corpus), layout.index)})
    return run


def test_media_that_are_away_change_nothing(run, capsys):
    before = listing(run)
    Path("media").rename("away")
    assert listing(run) == before
    assert "table: none of its media is there; its clip table stays as it is" in capsys.readouterr().err


def test_media_that_moved_with_their_table_are_other_media(run):
    before = listing(run)
    Path("media").rename("elsewhere")
    Path("clips.csv").write_text("clip_id,path,speaker\na,elsewhere/a.mp4,anna\n")
    assert listing(run) != before


def test_another_table_under_the_same_id_is_refused_naming_both(run):
    Path("other.csv").write_text("clip_id,path,speaker\na,media/a.mp4,ben\n")
    other = run_of(corpus={"id": "table", "name": "table", "config": {"csv": "other.csv"}})
    with pytest.raises(ConfigError, match=r"'table'.*other.csv.*found cache/table.*clips.csv; give one"):
        listing(other)
    Path("clips.csv").rename("other.csv")
    assert listing(other)


def test_a_project_that_is_copied_whole_or_moved_keeps_its_clip_table(run, tmp_path, monkeypatch):
    shutil.copytree(tmp_path, tmp_path.with_name("copy"), symlinks=True)
    monkeypatch.chdir(tmp_path.with_name("copy"))
    assert listing(run)
