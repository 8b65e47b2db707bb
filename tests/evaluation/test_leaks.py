"""Each leak planted, and honest data that look like it left alone."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from avemo.base.contracts import Clip
from avemo.dataset.splits import Split, save_splits
from avemo.evaluation.leaks import (
    confounded,
    near_duplicates,
    seen_before,
    telling_names,
    tuned_on,
    twice_named,
)
from avemo.evaluation.pooled import pooled
from avemo.features.extraction import extract_audio
from avemo.features.opensmile_lld import CompareLLD
from avemo.finetuning.trained_on import LIST, read_list, write_list
from avemo.media.sound import read_audio
from feature_source import Source

SPLITS = [Split("split00", ("a1", "a2"), ("b1",), ("c1",)), Split("split01", ("b1",), ("a1", "a2"), ("c1",))]


@pytest.mark.parametrize("other", ["Anna ", "anna", "ANNA", "An-na", "Ánna"])
def test_one_person_under_nearly_one_name_is_found_on_two_sides(other):
    groups = {"a1": "Anna", "a2": "Anna", "b1": "Ben", "c1": other}
    (sentence,) = twice_named(groups, SPLITS)
    assert f"groups 'Anna' and {other!r} have nearly one name" in sentence
    assert "split00 (train, test), split01 (dev, test)" in sentence
    (sentence,) = twice_named(groups, SPLITS, "speakers")
    assert sentence.startswith("speakers 'Anna'")
    assert not list(twice_named({"a1": "Anna", "a2": other, "b1": "Ben", "c1": "Cem"}, SPLITS))
    assert not list(twice_named({"a1": "s1", "a2": "s1", "b1": "s10", "c1": "s11"}, SPLITS))


def coded(signal: np.ndarray, codec: str, path: Path) -> Path:
    """A lossy copy."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=16_000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(signal[None].astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16_000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            file.mux(packet)
    return path


def test_a_coded_copy_of_a_real_voice_is_found_and_no_two_real_ones_are(shared_data, tmp_path):
    wavs = sorted((shared_data / "ravdess" / "wav").glob("*.wav"))[::6]
    smile = CompareLLD(CompareLLD.Config())
    source = Source({}, smile.dim)

    def add(name: str, path: Path) -> None:
        source.x[name] = extract_audio(smile, Clip(name, "s", "s", audio_path=path)).x

    for path in wavs:
        add(path.stem, path)
    honest = sorted(source.x)
    half = len(honest) // 2
    splits = [Split("split00", tuple(honest[:half]), (), tuple(honest[half:]))]
    each = {clip: clip for clip in honest}
    assert not list(near_duplicates({"audio": pooled(source, honest)}, honest, each, splits))
    copies = {f"copy of {wavs[i].stem}": wavs[i] for i in (0, 7)}
    for (name, path), (codec, suffix) in zip(
        copies.items(), (("aac", "m4a"), ("libopus", "ogg")), strict=True
    ):
        signal = read_audio(Clip(name, "s", "s", audio_path=path), 16_000)
        add(name, coded(signal, codec, tmp_path / f"copy.{suffix}"))
    clips, each = sorted(source.x), {clip: clip for clip in source.x}
    train = tuple(honest)
    splits = [Split("split00", train, (), tuple(copies))]
    found = list(near_duplicates({"audio": pooled(source, clips)}, clips, each, splits))
    assert len(found) == 2
    for name, path in copies.items():
        assert any(path.stem in sentence and name in sentence for sentence in found)
    same_group = dict.fromkeys(clips, "one")
    assert not list(near_duplicates({"audio": pooled(source, clips)}, clips, same_group, splits))


def test_speakers_of_one_emotion_each_are_a_warning():
    clips = [f"{who}{i}" for who in "abc" for i in range(6)]
    groups = {clip: clip[0] for clip in clips}
    (sentence,) = confounded(
        {clip: {"a": "sad", "b": "sad", "c": "happy"}[clip[0]] for clip in clips}, groups
    )
    assert "3 of 3 groups of 5 clips or more show one label alone, such as 'a' (sad)" in sentence
    assert not list(confounded({clip: "sad" if int(clip[1]) % 2 else "happy" for clip in clips}, groups))


def test_another_run_that_was_scored_on_the_same_clips_is_a_warning(tmp_path):
    for run in ("now", "before", "unscored"):
        (tmp_path / run / "data").mkdir(parents=True)
        save_splits(tmp_path / run / "data" / "splits.json", SPLITS)
    for run in ("now", "before"):
        (tmp_path / run / ".readings").mkdir()
        (tmp_path / run / ".readings" / "net.jsonl").write_text("{}\n")
    (sentence,) = seen_before(tmp_path / "now", tmp_path, {"c1", "c2"})
    assert sentence.startswith(f"{tmp_path / 'before'}: its models were scored on 1 of the 2 clips")


def test_a_session_in_file_names_that_goes_with_the_label_is_found_and_a_code_of_the_label_is_not():
    emotions = ("happy", "sad", "angry")
    clips = [(emotion, day, number) for emotion in emotions for day in range(4) for number in range(6)]
    labels = {f"c{n}": emotion for n, (emotion, _, _) in enumerate(clips)}
    # Recorded emotion by emotion, each on days of its own.
    planted = {f"c{n}": f"take{k}_day{emotions.index(e)}{day}-{n}" for n, (e, day, k) in enumerate(clips)}
    (sentence,) = telling_names(labels, planted)
    assert sentence.startswith("part 2 of file names: 12 of 12 values")
    assert "'day00' (happy)" in sentence
    coded = {f"c{n}": f"03-{emotions.index(e):02d}-{day:02d}-{k}-{n}" for n, (e, day, k) in enumerate(clips)}
    assert not list(telling_names(labels, coded))
    assert not list(telling_names(labels, {clip: clip for clip in labels}))
    assert not list(telling_names({}, {}))


def test_weights_that_were_tuned_on_held_clips_or_people_are_found(tmp_path):
    table = tmp_path / "tuning.csv"
    table.write_text(
        "path,label,split,speaker\nc1.wav,sad,train,Anna\nx.wav,sad,dev,Cem\nc2.wav,sad,test,Dora\n"
    )
    (tmp_path / "weights" / "tuning").mkdir(parents=True)
    write_list(table, tmp_path / "weights" / LIST)
    examples = list(read_list(tmp_path / "weights"))
    assert [(one.path.name, one.split, one.speaker) for one in examples] == [
        ("c1.wav", "train", "Anna"),
        ("x.wav", "dev", "Cem"),
    ]
    files = {clip: {(tmp_path / f"{clip}.wav").resolve()} for clip in ("c1", "c2", "c3")}
    speakers = {"c1": "Anna", "c2": "Dora", "c3": "Cem"}
    (offence,), (warning,) = tuned_on("w", examples, files, speakers, {"c1", "c2", "c3"})
    assert offence == "w were tuned on 1 clips of dev and test sides: c1"
    assert warning == "w were tuned on speakers of the same names as on dev and test sides: Anna, Cem"
    assert tuned_on("w", examples, files, speakers, {"c2"}) == ([], [])
    assert not list(read_list(tmp_path / "elsewhere"))


def test_a_look_at_scores_within_a_corpus_is_found_by_a_run_across_corpora_and_the_reverse(
    tmp_path, monkeypatch
):
    """Which call the same clip by two names; clips of equal names in another corpus are others."""
    sides = {
        "within": (Split("split00", ("c2",), ("c3",), ("c1",)), "one"),
        "elsewhere": (Split("split00", ("c2",), ("c3",), ("c1",)), "two"),
        "across": (Split("split00", ("two:c1",), ("two:c2",), ("one:c1", "one:c2")), ""),
    }
    for run, (split, _) in sides.items():
        (tmp_path / run / "data").mkdir(parents=True)
        save_splits(tmp_path / run / "data" / "splits.json", [split])
        (tmp_path / run / ".readings").mkdir()
        (tmp_path / run / ".readings" / "net.jsonl").write_text("{}\n")
    monkeypatch.setattr(
        "avemo.study.study.read_run",
        lambda folder: SimpleNamespace(
            corpus=SimpleNamespace(
                id=sides[folder.name][1], parts=() if sides[folder.name][1] else ("one", "two")
            )
        ),
    )
    (sentence,) = seen_before(tmp_path / "across", tmp_path, {"one:c1", "one:c2"})
    assert sentence.startswith(f"{tmp_path / 'within'}: its models were scored on 1 of the 2 clips")
    found = list(seen_before(tmp_path / "within", tmp_path, {"c1"}, "one"))
    assert any(
        sentence.startswith(f"{tmp_path / 'across'}: its models were scored on 1 of the 1")
        for sentence in found
    )
    assert not any(
        "across" in sentence for sentence in seen_before(tmp_path / "elsewhere", tmp_path, {"c1"}, "two")
    )
