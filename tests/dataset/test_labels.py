"""The label table."""

import pytest

from pipeline.contracts import AvemoError, Clip
from pipeline.corpora.base import Label
from pipeline.dataset.labels import load_labels, make_labels, save_labels


def test_labels_come_back_with_their_classes_in_order(tmp_path):
    clips = [Clip("a", "anna", "film"), Clip("b", "ben", "ben")]
    made = make_labels(clips, [Label("a", "sad"), Label("b", None, "no votes")], ("sad", "happy"))
    save_labels(made, tmp_path / "labels.parquet")
    loaded = load_labels(tmp_path / "labels.parquet")
    assert loaded.classes == ("sad", "happy")
    assert loaded.targets == {"a": 0}
    assert loaded.groups == {"a": "film", "b": "ben"}
    assert loaded.table.reason.tolist() == ["", "no votes"]


def test_another_table_is_refused(tmp_path):
    (tmp_path / "labels.parquet").write_text("x")
    with pytest.raises(AvemoError, match="expected a label table"):
        load_labels(tmp_path / "labels.parquet")
