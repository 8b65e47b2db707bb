"""Miniatures: real layouts and names, generated contents, and no doubt about which."""

import csv
import shutil

import pytest

from avemo.base.contracts import AvemoError
from avemo.corpora import CORPORA, EXAMPLES
from avemo.corpora.base import MARKER
from avemo.index.clip_table import index_clips
from avemo.index.media_hashes import HashCache, fingerprint
from avemo.synthetic.miniatures import MINIATURES


class NoHashes:
    def sha256(self, path):
        return ""

    def fact(self, key, find):
        return find()


def corpus_at(name, root, **labels):
    found = CORPORA.load(name)
    return found(found.Config(root=root), found.Labels(**labels))


@pytest.mark.parametrize("name", sorted(set(MINIATURES) & set(CORPORA)))
def test_every_clip_of_a_miniature_can_be_read_and_has_speaker_and_group(miniatures, name):
    corpus = corpus_at(name, miniatures[name])
    rows = index_clips(corpus.clips(), NoHashes())
    assert {row.status for row in rows} == {"ok"}
    assert len({row.group for row in rows}) >= 3
    assert all(0.5 < row.duration_s < 2 for row in rows)
    assert all(row.fps == (5 if row.video_path else None) and row.audio_rate_hz == 16_000 for row in rows)


@pytest.mark.parametrize("name", sorted(set(MINIATURES) & set(CORPORA)))
def test_the_marker_makes_a_corpus_synthetic_and_belongs_to_its_fingerprint(miniatures, name, tmp_path):
    corpus = corpus_at(name, miniatures[name])
    nothing_known = HashCache(tmp_path / "hashes.json")
    before = fingerprint(corpus, nothing_known)
    assert corpus.synthetic
    marker = miniatures[name] / MARKER
    text = marker.read_text()
    marker.unlink()
    try:
        assert not corpus_at(name, miniatures[name]).synthetic
        assert fingerprint(corpus_at(name, miniatures[name]), nothing_known) != before
    finally:
        marker.write_text(text)


def test_every_corpus_but_the_open_ones_has_a_miniature():
    assert set(MINIATURES) >= {*CORPORA, *EXAMPLES} - {"demo", "table"}


@pytest.mark.parametrize("name", sorted(MINIATURES))
def test_a_folder_with_somebody_s_files_is_left_alone(tmp_path, name):
    (tmp_path / "Evaluation.txt").write_text("real")
    with pytest.raises(AvemoError, match="a folder of its own"):
        MINIATURES.load(name)(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["Evaluation.txt"]


def test_generation_goes_on_where_it_stopped_and_ends_the_same(miniatures, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(miniatures["msp_improv"], again)
    kept = {path: path.stat().st_mtime_ns for path in again.rglob("*.avi")}
    removed = sorted(kept)[3]
    removed.unlink()
    sound = removed.with_suffix(".wav").read_bytes()
    removed.with_suffix(".wav").unlink()
    MINIATURES.load("msp_improv")(again)
    assert removed.with_suffix(".wav").read_bytes() == sound
    assert {p for p, time in kept.items() if p.stat().st_mtime_ns == time} == kept.keys() - {removed}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("crema_d/partitions/label_consensus_1.csv", "crema-d/label_consensus_1.csv"),
        ("msp_improv/partitions/labels_consensus_1.csv", "msp-improv/labels_consensus_1.csv"),
    ],
)
def test_partitions_have_the_published_columns_and_sides(miniatures, shared_data, ours, theirs):
    corpus, rest = ours.split("/", 1)
    with (
        (miniatures[corpus] / rest).open() as made,
        (shared_data / "published-partitions" / theirs).open() as real,
    ):
        made_rows, real_rows = csv.DictReader(made), csv.DictReader(real)
        assert made_rows.fieldnames == real_rows.fieldnames
        assert {row["Split_Set"] for row in made_rows} == {row["Split_Set"] for row in real_rows}
