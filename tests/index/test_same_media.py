"""Clips of the same bytes under several ids: told, and which groups they join."""

from __future__ import annotations

from avemo.base.contracts import Status
from avemo.index.clip_table import Row
from avemo.index.same_media import joined_groups, same_media, told


def row(
    name: str, sound: str | None, picture: str | None = None, start_s: float = 0.0, end_s: float | None = None
) -> Row:
    speaker = name[0]
    times = {"start_s": start_s, "end_s": end_s}
    facts = {"duration_s": 1.0, "audio_rate_hz": 16_000, "fps": None, "n_frames": None}
    return Row(
        name,
        speaker,
        speaker,
        "a.wav",
        None,
        **times,
        audio_sha256=sound,
        video_sha256=picture,
        **facts,
        status=str(Status.ok),
        detail="",
    )


def ids(rows: list[Row]) -> list[list[str]]:
    return [[one.clip_id for one in found] for found in same_media(rows)]


def test_equal_bytes_of_sound_or_of_pictures_join_also_through_others():
    rows = [
        row("a1", "x"),
        row("b1", "x", "p"),
        row("c1", "y", "p"),
        row("d1", "z"),
        row("e1", None),
        row("f1", None),
    ]
    assert ids(rows) == [["a1", "b1", "c1"]]
    assert joined_groups(rows, same_media(rows)) == dict.fromkeys(("a1", "b1", "c1"), "a") | {
        "d1": "d",
        "e1": "e",
        "f1": "f",
    }


def test_parts_of_one_file_are_the_same_where_they_overlap_by_half_of_one():
    turns = [
        row("a1", "x", start_s=0, end_s=2),
        row("b1", "x", start_s=1.5, end_s=4),
        row("a2", "x", start_s=4, end_s=5),
    ]
    assert ids(turns) == []
    assert ids([*turns, row("c1", "x", start_s=4.2, end_s=4.6)]) == [["a2", "c1"]]
    assert ids([*turns, row("c1", "x")]) == [["a1", "a2", "b1", "c1"]]
    assert ids([row("a1", "x", start_s=1, end_s=2), row("b1", "x", start_s=1, end_s=2)]) == [["a1", "b1"]]


def test_what_is_told_is_what_splits_could_separate_or_what_counts_twice():
    (said,) = told(same_media([row("a1", "x"), row("b1", "x")]))
    assert (
        said == "2 clips have the same media, speakers 'a', 'b': a1, b1; drawn splits keep them on one side"
    )
    assert len(list(told(same_media([row("a1", "x"), row("a2", "x")])))) == 1
    cuts = [row("a1", "x", start_s=0, end_s=2), row("a2", "x", start_s=0.5, end_s=2)]
    assert not list(told(same_media(cuts)))


def test_a_thousand_names_of_one_file_are_found_at_once():
    rows = [row(f"{n % 7}_{n}", "x") for n in range(3000)] + [
        row(f"c{n}", "x", start_s=n, end_s=n + 1.4) for n in range(900)
    ]
    (found,) = same_media(rows)
    assert len(found) == 3900
