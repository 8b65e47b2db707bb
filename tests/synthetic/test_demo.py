"""The generated corpus: its files, its faces and voices, and how hard it is."""

import csv
import hashlib
from itertools import pairwise
from typing import get_args

import av
import numpy as np
import pytest
from facenet_pytorch import MTCNN
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.io import wavfile

from avemo.base.contracts import AvemoError
from avemo.corpora.crema_d import NAME, leaders, read_votes
from avemo.synthetic import generate as generation
from avemo.synthetic.demo_config import DemoConfig, Sentence
from avemo.synthetic.demo_corpus import Demo
from avemo.synthetic.face import draw_face
from avemo.synthetic.generate import generate, paths, render
from avemo.synthetic.motion import STRENGTH, poses
from avemo.synthetic.prototypes import (
    EMOTIONS,
    FACE_PAIRS,
    VOICE_PAIRS,
    at_intensity,
    face_prototypes,
    voice_prototypes,
)
from avemo.synthetic.syllables import SENTENCES, VOWELS, opening, timeline
from avemo.synthetic.takes import all_takes
from avemo.synthetic.voice import RATE_HZ, formants, speak
from avemo.synthetic.votes import LETTERS, choices

TINY = DemoConfig(actors=1, graded=(), plain=("DFA",), neutral=(), seconds=0.8, size_px=96, fps=10, jobs=1)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    root = tmp_path_factory.mktemp("demo")
    generate(root, TINY)
    return root


def decoded(root):
    """Digests of every clip's decoded pictures and sound."""
    found = {}
    for path in sorted((root / "VideoFlash").iterdir()):
        with av.open(str(path)) as container:
            frames = [f.to_ndarray(format="rgb24").tobytes() for f in container.decode(video=0)]
        _, signal = wavfile.read(root / "AudioWAV" / f"{path.stem}.wav")
        found[path.stem] = hashlib.sha256(b"".join(frames) + signal.tobytes()).hexdigest()
    return found


def takes_of(emotion, actors=4, **settings):
    takes = all_takes(DemoConfig(actors=actors, **settings))
    return [take for take in takes if take.emotion == emotion and take.name.endswith(("HI", "NEU_XX"))]


def test_the_default_corpus_has_five_graded_emotions_and_enough_neutral():
    takes = all_takes(DemoConfig())
    names = {take.name for take in takes}
    counts = {emotion: sum(take.emotion == emotion for take in takes) for emotion in EMOTIONS}
    assert len(names) == len(takes) == 24 * 23
    assert {"1001_IEO_ANG_HI", "1024_IEO_NEU_XX", "1012_DFA_SAD_XX", "1002_IOM_NEU_XX"} <= names
    assert all(NAME.fullmatch(name) for name in names)
    assert counts == {"ANG": 96, "DIS": 96, "FEA": 96, "HAP": 96, "NEU": 72, "SAD": 96}


def test_every_sentence_can_be_spoken():
    assert set(get_args(Sentence)) == set(SENTENCES)
    for text in SENTENCES.values():
        assert all(len(set(syllable.split(":")) & set(VOWELS)) == 1 for syllable in text.split())


def test_a_sentence_in_two_roles_is_refused():
    with pytest.raises(ValidationError, match=r"found \['IEO'\]"):
        DemoConfig(graded=("IEO",), neutral=("IEO",))


def test_files_lie_where_crema_d_keeps_them(tiny):
    names = {f"1001_DFA_{emotion}_XX" for emotion in EMOTIONS}
    assert {path.name for path in (tiny / "VideoFlash").iterdir()} == {f"{name}.flv" for name in names}
    assert {path.name for path in (tiny / "AudioWAV").iterdir()} == {f"{name}.wav" for name in names}


@pytest.mark.parametrize("container", ["flv", "mp4"])
def test_clips_decode_with_sound_of_the_picture_s_length(tmp_path, container):
    config = TINY.model_copy(update={"container": container, "actors": 1})
    take = all_takes(config)[0]
    video, audio = paths(tmp_path, take, config)
    for path in (video, audio):
        path.parent.mkdir()
    generation._render_to(tmp_path, take, config)
    with av.open(str(video)) as file:
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    with av.open(str(video)) as file:
        sound_s = sum(frame.samples / frame.sample_rate for frame in file.decode(audio=0))
    rate_hz, signal = wavfile.read(audio)
    assert frames[0].shape == (96, 96, 3)
    assert len(frames) == round(take.duration_s * 10)
    assert (rate_hz, signal.dtype) == (16_000, np.int16)
    assert len(signal) / rate_hz == pytest.approx(take.duration_s, abs=1e-4)
    assert sound_s == pytest.approx(take.duration_s, abs=0.15)  # codecs pad to whole frames


def test_the_same_seed_gives_the_same_contents_whatever_the_order(tiny, tmp_path):
    for folder in generation.FOLDERS:
        (tmp_path / folder).mkdir()
    for take in reversed(all_takes(TINY)):
        generation._render_to(tmp_path, take, TINY)
    assert decoded(tmp_path) == decoded(tiny)


def test_another_seed_gives_other_people():
    first, second = (
        render(all_takes(TINY.model_copy(update={"seed": seed}))[0], TINY)[0][0] for seed in (1, 2)
    )
    assert np.abs(first.astype(int) - second).mean() > 5


def test_interrupted_generation_goes_on_where_it_stopped(tmp_path):
    class Killed(Exception):
        pass

    def stop_at_three(done, total):
        if done == 3:
            raise Killed

    with pytest.raises(Killed):
        generate(tmp_path, TINY, stop_at_three)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "VideoFlash").iterdir()}
    (tmp_path / "VideoFlash" / ".half.flv.1.tmp").write_bytes(b"half")
    seen = []
    generate(tmp_path, TINY, lambda done, total: seen.append((done, total)))
    assert len(kept) == 3
    assert seen == [(4, 6), (5, 6), (6, 6)]
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert len(list((tmp_path / "VideoFlash").iterdir())) == 6


def test_another_config_replaces_the_corpus_and_speed_settings_do_not(tmp_path):
    generate(tmp_path, TINY)
    votes = (tmp_path / "processedResults" / "tabulatedVotes.csv").read_bytes()
    seen = []
    generate(tmp_path, TINY.model_copy(update={"jobs": 2}), lambda *done: seen.append(done))
    assert seen == []
    generate(tmp_path, TINY.model_copy(update={"seed": 5}), lambda *done: seen.append(done))
    assert len(seen) == 6
    assert (tmp_path / "processedResults" / "tabulatedVotes.csv").read_bytes() != votes


def test_a_folder_with_somebody_s_clips_is_left_alone(tmp_path):
    (tmp_path / "VideoFlash").mkdir()
    (tmp_path / "VideoFlash" / "1001_DFA_ANG_XX.flv").write_bytes(b"real")
    with pytest.raises(AvemoError, match="a folder of its own"):
        generate(tmp_path, TINY)
    assert (tmp_path / "VideoFlash" / "1001_DFA_ANG_XX.flv").read_bytes() == b"real"


def test_tables_have_crema_d_s_columns(tiny, shared_data):
    for name, folder in (("tabulatedVotes.csv", "processedResults"), ("VideoDemographics.csv", ".")):
        with (tiny / folder / name).open() as ours, (shared_data / "crema-d" / name).open() as theirs:
            assert next(csv.reader(ours)) == next(csv.reader(theirs))


def test_votes_add_up_as_in_crema_d(tiny):
    rows = read_votes(tiny / "processedResults" / "tabulatedVotes.csv")
    assert [row[""] for row in rows[::6]] == ["100001", "200001", "300001"]
    for row in rows:
        counts = [int(row[letter]) for letter in LETTERS]
        assert sum(counts) == int(row["numResponses"])
        assert float(row["agreement"]) == max(counts) / sum(counts)
        assert row["emoVote"] == ":".join(leaders(row))
        assert (float(row["meanAngerResp"]) == -1) == (row["A"] == "0")


def test_demo_is_a_corpus(tiny):
    corpus = Demo(Demo.Config(root=tiny, **TINY.model_dump()), Demo.Labels(rule="intended"))
    corpus.prepare()
    clips = corpus.clips()
    assert [clip.clip_id for clip in clips] == [f"1001_DFA_{emotion}_XX" for emotion in EMOTIONS]
    assert all(clip.video_path.is_file() and clip.audio_path.is_file() for clip in clips)
    assert [label.label[0].upper() for label in corpus.labels(clips)] == list(LETTERS)


@pytest.mark.parametrize(
    ("prototypes", "pairs"), [(face_prototypes(0.3), FACE_PAIRS), (voice_prototypes(0.3), VOICE_PAIRS)]
)
def test_confusable_pairs_are_closest(prototypes, pairs):
    distance = np.linalg.norm(prototypes[:, None] - prototypes[None], axis=2)
    rows = {frozenset(map(EMOTIONS.index, pair)) for pair in pairs}
    within = [distance[i, j] for i in range(6) for j in range(i) if frozenset((i, j)) in rows]
    across = [distance[i, j] for i in range(6) for j in range(i) if frozenset((i, j)) not in rows]
    assert max(within) < 0.6 * min(across)


def test_no_pair_is_confusable_in_both_modalities():
    assert not set(map(frozenset, FACE_PAIRS)) & set(map(frozenset, VOICE_PAIRS))


@given(st.floats(0.05, 1), st.floats(0, 1))
def test_intensity_scales_the_distance_from_neutral(gain, gap):
    table = face_prototypes(gap)
    moved = at_intensity(table, gain)
    neutral = EMOTIONS.index("NEU")
    np.testing.assert_allclose(moved - moved[neutral], gain * (table - table[neutral]), atol=1e-12)


def test_raters_of_one_modality_confuse_its_pair_and_both_together_do_not():
    config = DemoConfig()
    takes = [take for take in all_takes(config) if take.name.endswith("IEO_ANG_HI")]
    mean = {
        mode: np.mean([choices(t, mode, config) for t in takes], axis=0) for mode in ("voice", "face", "both")
    }
    anger, disgust, happy = (EMOTIONS.index(emotion) for emotion in ("ANG", "DIS", "HAP"))
    assert mean["voice"][happy] > 4 * mean["voice"][disgust]
    assert mean["face"][disgust] > 4 * mean["face"][happy]
    assert mean["both"][anger] > max(mean["voice"][anger], mean["face"][anger])


@settings(max_examples=40)
@given(st.sampled_from(sorted(SENTENCES)), st.floats(0.7, 4), st.integers(0, 2**32))
def test_syllables_follow_each_other_inside_the_clip(sentence, duration_s, seed):
    syllables = timeline(sentence, duration_s, np.random.default_rng(seed))
    edges_s = [(s.start_s, s.end_s) for s in syllables]
    assert edges_s[0][0] > 0
    assert edges_s[-1][1] < duration_s
    assert all(a[1] == b[0] for a, b in pairwise(edges_s))
    opened = opening(syllables, np.linspace(0, duration_s, 50))
    assert max(opened[0], opened[-1]) < 1e-12
    assert 0.2 < opened.max() <= 1


def test_expressions_rise_and_fall_back():
    times_s = np.linspace(0, 1, 21)
    heights = []
    for take in takes_of("HAP", actors=12, spread=0):
        shown = poses(take, timeline(take.sentence, take.duration_s, take.rng(0)), times_s * take.duration_s)
        at_rest = take.actor.look.resting[7]
        heights.append([pose.axes["corner"] - at_rest for pose in shown])
    onset, apex, end = np.mean(heights, axis=0)[[0, 10, 20]]
    assert apex == pytest.approx(STRENGTH, rel=0.15)
    assert onset < 0.3 * apex
    assert 0.3 * apex < end < 0.8 * apex


def pitch_hz(signal):
    """Median over voiced 40 ms windows of the highest autocorrelation peak, 70 to 450 Hz."""
    found = []
    for start in range(0, len(signal) - 640, 320):
        part = signal[start : start + 640] - signal[start : start + 640].mean()
        r = np.correlate(part, part, "full")[639:]
        lag = 35 + int(np.argmax(r[35:229]))
        if r[lag] > 0.5 * r[0] and part.std() > 0.01:
            found.append(RATE_HZ / lag)
    return np.median(found)


def sounds(emotion):
    """The voices of four actors, by turns male and female."""
    takes = [take for take in takes_of(emotion) if take.sentence == "IEO"]
    return [speak(take, timeline(take.sentence, take.duration_s, take.rng(0))) for take in takes]


def test_voices_follow_the_emotion_and_the_sex():
    angry, happy, sad, neutral = (sounds(emotion) for emotion in ("ANG", "HAP", "SAD", "NEU"))
    for loud, soft in zip(angry, sad, strict=True):
        assert np.sqrt(np.mean(loud**2)) > 1.5 * np.sqrt(np.mean(soft**2))
    for high, low in zip(happy, sad, strict=True):
        assert pitch_hz(high) > 1.15 * pitch_hz(low)
    male, female = neutral[::2], neutral[1::2]
    assert min(map(pitch_hz, female)) > 1.2 * max(map(pitch_hz, male))


def test_formants_lie_where_the_vowel_says():
    syllables = timeline("TSI", 1.0, np.random.default_rng(0))
    flat = [type(s)(s.start_s, s.end_s, "aa", (), (), 1.0) for s in syllables]
    impulses = np.zeros(RATE_HZ)
    impulses[RATE_HZ // 2] = 1
    spectrum = np.abs(np.fft.rfft(formants(impulses, flat, 1.0)))
    peaks = [i for i in range(1, len(spectrum) - 1) if spectrum[i - 1] < spectrum[i] > spectrum[i + 1]]
    assert len(peaks) == 4
    np.testing.assert_allclose(peaks, (730, 1090, 2440, 3500), rtol=0.02)


def test_mtcnn_finds_one_face_in_each_frame():
    mtcnn = MTCNN(keep_all=True, device="cpu")
    takes = [take for take in all_takes(DemoConfig(actors=12)) if take.name.endswith("HI")][::7]
    frames = [frame(take, 0.2 + 0.06 * i) for i, take in enumerate(takes)]
    boxes, scores = mtcnn.detect(np.stack(frames))
    assert [len(found) for found in boxes] == [1] * len(takes) == [1] * 9
    assert min(score[0] for score in scores) > 0.9


def frame(take, share):
    """One picture, at ``share`` of the clip."""
    syllables = timeline(take.sentence, take.duration_s, take.rng(0))
    (pose,) = poses(take, syllables, np.array([share * take.duration_s]))
    return draw_face(take.actor.look, pose, 160, take.rng(3))
