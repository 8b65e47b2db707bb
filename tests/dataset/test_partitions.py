"""Published partitions, real ones where they are at hand."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from pydantic import ValidationError

from avemo.base.contracts import AvemoError
from avemo.dataset.partitions import published_splits, read_partition
from avemo.dataset.splits import SplitConfig, check_disjoint, make_splits

VAVL = "FileName,angry,SpkrID,Gender,Split_Set\na.wav,1,1,Male,Train\nb.wav,1,2,Male,Development\nc.wav,1,3,Male,Test\n"
FOLDS = "standard_train_fold=['v1', 'v2']\n\nstandard_valid_fold=['v3']\nstandard_test_fold=['v4']\n"
SIDES = ("Train", "Development", "Test")


def published(*files):
    return SplitConfig(protocol="published", files=files)


def test_a_csv_names_clips(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text(VAVL)
    (split,) = published_splits(["c", "b", "a"], ["3", "2", "1"], published(path))
    assert (split.name, split.train, split.dev, split.test) == ("split00", ("a",), ("b",), ("c",))


def test_folds_name_videos_and_are_not_run(tmp_path):
    path = tmp_path / "folds.py"
    path.write_text(FOLDS + "raise SystemExit('run')\n")
    clips = ["v1_0", "v1_1", "v2_0", "v3_0", "v4_0", "v4_1"]
    (split,) = published_splits(clips, [clip[:2] for clip in clips], published(path))
    assert split.train == ("v1_0", "v1_1", "v2_0")
    assert (split.dev, split.test) == (("v3_0",), ("v4_0", "v4_1"))


def test_what_does_not_match_is_counted(tmp_path, caplog):
    path = tmp_path / "p.csv"
    path.write_text(VAVL + "gone.wav,1,3,Male,Test\n")
    published_splits(["a", "b", "c", "new"], ["1", "2", "3", "4"], published(path))
    assert "1 labelled clips are on no side; 1 of 4 clips it names have no labelled clip" in caplog.text


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.csv", VAVL.replace("Development", "Dev2"), "expected Train, Development or Test, found 'Dev2'"),
        (
            "p.csv",
            "clip,side\na,Train\n",
            r"expected a published partition with columns \['FileName', 'Split_Set'\]",
        ),
        ("p.csv", VAVL + "a.wav,1,1,Male,Test\n", "a: expected on one side, found on train and test"),
        ("p.py", "standard_train_fold=['v1']\n", "found no standard_test_fold, standard_valid_fold"),
        ("p.py", FOLDS.replace("['v3']", "open('x')"), "expected lists of video names"),
    ],
)
def test_another_file_is_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(AvemoError, match=message):
        read_partition(tmp_path / name)


def test_a_side_without_clips_and_a_group_on_two_sides_are_refused(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text(VAVL)
    with pytest.raises(AvemoError, match="expected clips of this corpus on the test side, found none"):
        published_splits(["a", "b"], ["1", "2"], published(path))
    with pytest.raises(AvemoError, match="group 'same': expected on one side"):
        published_splits(["a", "b", "c"], ["same", "same", "3"], published(path))


def test_n_is_the_number_of_files():
    assert published("a.csv", "b.csv").n == 2
    with pytest.raises(ValidationError, match="found 1 for 3 splits"):
        SplitConfig(protocol="published", files=("a.csv",), n=3)
    with pytest.raises(ValidationError, match="found 1 for 20 splits of protocol 'random'"):
        SplitConfig(files=("a.csv",))
    with pytest.raises(ValidationError, match="found 0 for 1 splits"):
        SplitConfig(protocol="published")


def test_a_resolved_config_reads_back():
    config = published("a.csv", "b.csv")
    assert SplitConfig(**json.loads(json.dumps(config.numbers()))) == config


def test_crema_d_as_published(shared_data):
    files = sorted((shared_data / "published-partitions" / "crema-d").glob("*.csv"))
    table = pd.read_csv(files[0])
    clips, actors = table.FileName.str.removesuffix(".wav").tolist(), table.SpkrID.astype(str).tolist()
    splits = published_splits(clips, actors, published(*files))
    assert len(splits) == 3
    actor_of = dict(zip(clips, actors, strict=True))
    for path, split in zip(files, splits, strict=True):
        check_disjoint(split, actor_of)
        written = pd.read_csv(path).Split_Set.value_counts()
        assert [len(side) for side in split.sides().values()] == [written[side] for side in SIDES]
        assert sum(written) == 5820
        assert [len({actor_of[clip] for clip in side}) for side in split.sides().values()] == [63, 14, 14]
    assert [len(side) for side in splits[0].sides().values()] == [4043, 878, 899]


def test_msp_improv_as_published_keeps_dyads_together(shared_data):
    files = sorted((shared_data / "published-partitions" / "msp-improv").glob("*.csv"))
    table = pd.read_csv(files[0])
    clips = table.FileName.str.removesuffix(".wav").tolist()
    dyads = [clip.split("-")[3][1:] for clip in clips]
    dyad_of = dict(zip(clips, dyads, strict=True))
    for path, split in zip(files, published_splits(clips, dyads, published(*files)), strict=True):
        check_disjoint(split, dyad_of)
        written = pd.read_csv(path).Split_Set.value_counts()
        assert [len(side) for side in split.sides().values()] == [written[side] for side in SIDES]
        assert [len({dyad_of[clip] for clip in side}) for side in split.sides().values()] == [4, 1, 1]


def test_dyads_are_all_thirty_choices_and_not_one_more():
    clips = [f"d{dyad}_{n}" for dyad in range(6) for n in range(4)]
    dyads, labels = [clip[:2] for clip in clips], [clip[-1] for clip in clips]
    splits = make_splits(clips, dyads, labels, SplitConfig(protocol="dyads", n=30))
    chosen = {(split.dev[0][:2], split.test[0][:2]) for split in splits}
    assert chosen == {(f"d{a}", f"d{b}") for a in range(6) for b in range(6) if a != b}
    assert all(len(split.train) == 16 for split in splits)
    twenty = make_splits(clips, dyads, labels, SplitConfig(protocol="dyads", n=20))
    assert twenty == splits[:20]
    with pytest.raises(AvemoError, match="at most 30 choices"):
        make_splits(clips, dyads, labels, SplitConfig(protocol="dyads", n=31))
