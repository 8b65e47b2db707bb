"""What limits a run's numbers, as the banner of its report says it."""

from __future__ import annotations

from avemo.base.contracts import Clip
from avemo.corpora.base import Label
from avemo.dataset.labels import make_labels, save_labels
from avemo.dataset.splits import Split, save_splits
from avemo.report.run_files import run_notes
from avemo.study.layout import Layout
from runs import run_of


def test_a_class_that_sides_lack_is_in_the_banner(tmp_path):
    run = run_of(results=str(tmp_path))
    layout = Layout(run)
    layout.labels.parent.mkdir(parents=True)
    clips = [Clip(name, speaker=name, group=name) for name in "abc"]
    given = [Label(clip.clip_id, label) for clip, label in zip(clips, ("sad", "sad", "fear"), strict=True)]
    save_labels(make_labels(clips, given, "classes", ("sad", "fear")), layout.labels)
    assert "class absent from a side" not in {note["kind"] for note in run_notes(run)}
    save_splits(layout.splits, [Split("split00", ("a",), ("b",), ("c",))])
    (note,) = (note for note in run_notes(run) if note["kind"] == "class absent from a side")
    assert note["text"] == (
        "r: split00: no clip of fear on train; split00: no clip of fear on dev; split00: no clip of sad on test; "
        "scores in which that counts as 0 are marked ‡"
    )
