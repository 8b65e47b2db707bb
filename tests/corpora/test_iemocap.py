"""IEMOCAP by the counts that were published, in the layouts that are met; halves of films."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from avemo.base.contracts import AvemoError, digest
from avemo.corpora.iemocap import Iemocap
from avemo.index.clip_table import index_clips, read_table, write_table
from avemo.index.media_hashes import HashCache
from avemo.media.pictures import iter_frames

FIVE = ("ang", "hap", "exc", "sad", "neu")
IMPROVISED = {
    1: (62, 33, 99, 104, 223),
    2: (22, 54, 137, 100, 217),
    3: (90, 60, 89, 190, 198),
    4: (84, 31, 164, 81, 174),
    5: (31, 106, 174, 133, 287),
}
SCRIPTED = {
    1: (167, 102, 44, 90, 161),
    2: (115, 63, 73, 97, 145),
    3: (150, 75, 62, 115, 122),
    4: (243, 34, 74, 62, 84),
    5: (139, 37, 125, 112, 97),
}
"""Turns by session, of `FIVE`, as EmoBox (Ma et al. 2024) lists its 5,531."""
OTHERS = {"fru": 1849, "sur": 107, "fea": 40, "dis": 2, "oth": 3, "xxx": 2507}
"""The rest of 10,039 (Busso et al. 2008, by the release's files). Of which session each is, is drawn here."""
HEADER = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"


def turns() -> list[tuple[str, str]]:
    """Name and emotion of 10,039 turns."""
    counted: Counter[tuple[str, int]] = Counter()
    found = []

    def add(session: int, style: str, emotion: str, number: int) -> None:
        for _ in range(number):
            sex = "FM"[counted[style, session] % 2]
            at = counted[style, session]
            counted[style, session] += 1
            found.append((f"Ses0{session}{sex}_{style}{1 + at // 900:02d}_{sex}{at % 900:03d}", emotion))

    for style, table in (("impro", IMPROVISED), ("script", SCRIPTED)):
        for session, counts in table.items():
            for emotion, number in zip(FIVE, counts, strict=True):
                add(session, style, emotion, number)
    for at, emotion in enumerate(np.random.default_rng(0).permutation(list(Counter(OTHERS).elements()))):
        add(1 + at % 5, ("impro", "script")[at % 2], str(emotion), 1)
    return found


def write_evaluations(root: Path) -> None:
    texts: dict[str, list[str]] = {}
    for at, (name, emotion) in enumerate(turns()):
        line = f"[{at}.0000 - {at}.9000]\t{name}\t{emotion}\t[2.5000, 2.0000, 3.0000]\nC-E1:\tAnger;\t()\n"
        texts.setdefault(name.rsplit("_", 1)[0], []).append(line)
    for dialogue, lines in texts.items():
        path = root / "IEMOCAP_full_release" / f"Session{dialogue[4]}" / "dialog" / "EmoEvaluation"
        path.mkdir(parents=True, exist_ok=True)
        (path / f"{dialogue}.txt").write_text(HEADER + "\n".join(lines))


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("iemocap")
    write_evaluations(root)
    names = root / "IEMOCAP_full_release" / "Session1" / "sentences" / "wav" / "Ses01F_impro01"
    names.mkdir(parents=True)
    (names / "Ses01F_impro01_F000.wav").touch()
    return root


def at(root: Path, labels: dict | None = None, **config) -> Iemocap:
    return Iemocap(Iemocap.Config(root=root, **config), Iemocap.Labels(**labels or {}))


def counts(corpus: Iemocap) -> Counter:
    return Counter(label.label for label in corpus.labels(corpus.clips()) if label.label is not None)


def test_the_whole_corpus_has_the_published_counts(whole):
    corpus = at(whole)
    clips = corpus.clips()
    assert len(clips) == 10_039
    assert {clip.group for clip in clips} == {f"Ses0{number}" for number in range(1, 6)}
    assert len({clip.speaker for clip in clips}) == 10
    assert counts(corpus) == {"angry": 1103, "happy": 1636, "sad": 1084, "neutral": 1708}
    assert counts(corpus).total() == 5531
    without = Counter(label.reason for label in corpus.labels(clips) if label.label is None)
    assert without["no agreement"] == 2507
    assert corpus.notes() == []


def test_the_field_s_other_conventions(whole):
    five = counts(at(whole, {"frustrated": "frustrated"}))
    assert (five["frustrated"], five.total()) == (1849, 7380)
    apart = at(whole, {"excited": "excited"})
    assert counts(apart) == {"angry": 1103, "happy": 595, "excited": 1041, "sad": 1084, "neutral": 1708}
    assert apart.classes == ("angry", "happy", "sad", "neutral", "excited")
    without = counts(at(whole, {"excited": "none"}))
    assert without.total() == 4490
    improvised = counts(at(whole, {"excited": "none", "style": "improvised"}))
    assert improvised == {"angry": 289, "happy": 284, "sad": 608, "neutral": 1099}
    assert improvised.total() == 2280
    attributes = at(whole, {"rule": "attributes"})
    assert (attributes.task, attributes.classes) == ("attributes", ("valence", "arousal", "dominance"))
    label = attributes.labels(attributes.clips())[0].label
    assert label == {"valence": 0.375, "arousal": 0.25, "dominance": 0.5}
    with pytest.raises(ValidationError, match="classes alone"):
        at(whole, {"rule": "attributes", "excited": "none"})


def test_votes_are_shares_of_the_classes(tmp_path):
    folder = tmp_path / "EmoEvaluation"
    folder.mkdir()
    votes = "C-E1:\tExcited; Happiness;\t()\nC-E2:\tHappiness;\t()\nC-E4:\tNeutral state;\t(calm)\nC-F1:\tAnger;\t()\n"
    other = "C-E1:\tSurprise;\t()\nC-E2:\tFrustration;\t()\n"
    (folder / "Ses01F_impro01.txt").write_text(
        HEADER + f"[0.1 - 1.2]\tSes01F_impro01_F000\thap\t[3.0, 3.0, 3.0]\n{votes}\n"
        f"[1.2 - 2.2]\tSes01F_impro01_M000\tsad\t[3.0, 3.0, 3.0]\n{other}"
    )
    (tmp_path / "Ses01F_impro01_F000.wav").touch()
    (tmp_path / "Ses01F_impro01_F009.wav").touch()
    corpus = at(tmp_path, {"rule": "votes"})
    first, second = corpus.labels(corpus.clips())
    assert first.label == {"angry": 0.0, "happy": 0.75, "sad": 0.0, "neutral": 0.25}
    assert (second.label, second.reason) == (None, "no rater's votes")
    assert corpus.notes() == [
        "2 turns; the whole corpus has 10039",
        "1 turns have sound and no raters, and are not used: ses01f_impro01_f009",
    ]


def test_a_mirror_of_single_turns_has_a_table(tmp_path):
    wav = tmp_path / "Session5" / "sentences" / "wav" / "Ses05M_script01_1b"
    wav.mkdir(parents=True)
    (wav / "Ses05M_script01_1b_F003.wav").touch()
    (tmp_path / "iemocap_full_dataset.csv").write_text(
        "session,method,gender,emotion,n_annotators,agreement,path\n"
        "5,script,F,exc,3,2,Session5/sentences/wav/Ses05M_script01_1b/Ses05M_script01_1b_F003.wav\n"
    )
    corpus = at(tmp_path)
    (clip,) = corpus.clips()
    assert (clip.speaker, clip.group, clip.audio_path.parent) == ("Ses05F", "Ses05", wav)
    assert corpus.labels([clip])[0].label == "happy"
    with pytest.raises(AvemoError, match="expected times of Ses05M_script01_1b_F003"):
        at(tmp_path, media="both").clips()


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(AvemoError, match="expected the folder of iemocap"):
        at(tmp_path / "none").clips()
    (tmp_path / "Ses01F_impro01_F000.wav").touch()
    with pytest.raises(AvemoError, match="expected IEMOCAP's EmoEvaluation"):
        at(tmp_path).clips()
    path = tmp_path / "EmoEvaluation" / "Ses01F_impro01.txt"
    path.parent.mkdir()
    for line, message in (
        ("[0.0 - 1.0]\tSes01F_impro01_F000\tangry\t[1.0, 1.0, 1.0]", "line 3: expected '"),
        ("[0.0 - 1.0]\tSes01F_impro01_F000\tabc\t[1.0, 1.0, 1.0]", "expected one of ang, hap"),
        ("[0.0 - 1.0]\tSes01F_impro01_F000\tang\t[1.0, x, 1.0]", r"found 'ang' and \[1.0, x, 1.0\]"),
    ):
        path.write_text(HEADER + line)
        with pytest.raises(AvemoError, match=message):
            at(tmp_path).clips()


def test_a_film_s_half_shows_who_speaks(miniatures, tmp_path):
    """The miniature has a face in the speaker's half and a wall in the other; the wall is one grey."""
    root = miniatures["iemocap"]
    clips = at(root, media="both").clips()
    letters = {(clip.clip_id[5] == clip.speaker[-1], clip.half) for clip in clips}
    assert letters == {(True, "left"), (False, "right")}
    turned = at(root, media="both", picture="marked_right").clips()
    plain = at(root, media="both", picture="whole").clips()
    for clip, other, both in zip(clips[:7:3], turned[:7:3], plain[:7:3], strict=True):
        # The film's AVI stamps a picture late, so that a turn's first is the last of the turn before.
        seen, wall, film = (list(iter_frames(one))[2][1] for one in (clip, other, both))
        assert seen.shape == wall.shape == (112, 112, 3)
        assert film.shape == (112, 224, 3)
        assert wall.std() < 5 < 20 < seen.std()
    rows = index_clips(clips, HashCache(tmp_path / "hashes.json"))
    assert {row.status for row in rows} == {"ok"}
    write_table(tmp_path / "index.parquet", rows)
    assert read_table(tmp_path / "index.parquet") == rows
    row = rows[0]
    assert row.media_key("visual") == digest([row.video_sha256, row.start_s, row.end_s, "ok", row.half])
    assert row.media_key("audio") == digest([row.audio_sha256, row.start_s, row.end_s, "ok"])
