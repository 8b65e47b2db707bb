"""What limits a run's numbers, as the banner of its report says it."""

from __future__ import annotations

from avemo.base.contracts import Clip
from avemo.corpora.base import Label
from avemo.dataset.labels import make_labels, save_labels
from avemo.dataset.splits import Split, save_splits
from avemo.report.run_files import randomness, run_notes
from avemo.study.layout import Layout
from avemo.training.recipe import TrainingConfig
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


def test_the_report_says_whether_systems_share_random_numbers():
    run = run_of(("a", "b"))
    assert randomness(run) == "Each system draws random numbers of its own on each split."
    training = TrainingConfig(common_random_numbers=True)
    common = run.systems["a"].model_copy(update={"training": training, "title": "A"})
    one = run.model_copy(update={"systems": run.systems | {"a": common}})
    assert randomness(one) == "A draw the same random numbers on a split (common_random_numbers)."
    both = run.model_copy(update={"systems": {"a": common, "b": common}})
    assert randomness(both).startswith("All systems draw the same")
