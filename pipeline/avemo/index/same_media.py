"""Clips of the same material: the same bytes of sound or of pictures, at times that overlap, under several ids.

On two sides of a split one would be trained on and the other tested.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from avemo.index.clip_table import Row

SHARE = 0.5
"""Turns of a dialogue may overlap by less than this of the shorter one."""
FOR_EVER_S = 1e9
"""The end of a clip that goes on to its file's."""


def same_media(rows: Iterable[Row]) -> list[list[Row]]:
    """Sets of two clips or more that share material, directly or through others; each sorted by id, all by their first."""
    by_id = {row.clip_id: row for row in rows}
    parents = {name: name for name in by_id}
    for uses in _by_file(by_id.values()).values():
        for one, other in _overlapping(uses):
            first, second = sorted((_root(parents, one), _root(parents, other)))
            parents[second] = first
    sets: dict[str, list[Row]] = defaultdict(list)
    for name in sorted(by_id):
        sets[_root(parents, name)].append(by_id[name])
    return [found for found in sets.values() if len(found) > 1]


def joined_groups(rows: Iterable[Row], sets: Iterable[list[Row]]) -> dict[str, str]:
    """For each clip the group that no split may separate once groups that share material are one: the first one's name."""
    groups = {row.clip_id: row.group for row in rows}
    parents = {group: group for group in groups.values()}
    for found in sets:
        for row in found[1:]:
            first, second = sorted((_root(parents, found[0].group), _root(parents, row.group)))
            parents[second] = first
    return {name: _root(parents, group) for name, group in groups.items()}


def told(sets: Iterable[list[Row]]) -> Iterator[str]:
    """Each set in words: how many clips, of which speakers, the first three by name."""
    for found in sets:
        intervals = {(row.start_s, row.end_s) for row in found}
        if len(intervals) == len(found) and len({row.group for row in found}) == 1:
            # Cuts of one recording that overlap; no split separates them.
            continue
        speakers = sorted({row.speaker for row in found})
        whose = (
            f"speaker {speakers[0]!r}"
            if len(speakers) == 1
            else f"speakers {', '.join(map(repr, speakers[:3]))}"
        )
        names = ", ".join(row.clip_id for row in found[:3]) + ", …" * (len(found) > 3)
        yield f"{len(found)} clips have the same media, {whose}: {names}; drawn splits keep them on one side"


Interval = tuple[float, float]
"""Start and end in seconds."""


def _by_file(rows: Iterable[Row]) -> Mapping[str, Mapping[Interval, list[str]]]:
    """Which clips use which part of which file, by what the file holds."""
    uses: dict[str, dict[Interval, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        end_s = FOR_EVER_S if row.end_s is None else row.end_s
        for sha256 in {row.audio_sha256, f"{row.video_sha256 or ''} {row.half}".strip()} - {None, ""}:
            uses[str(sha256)][row.start_s, end_s].append(row.clip_id)
    return uses


def _overlapping(uses: Mapping[Interval, list[str]]) -> Iterator[tuple[str, str]]:
    """Pairs of clips of which one is the other's by half at least; enough of them to join all that are."""
    before: list[Interval] = []
    for interval in sorted(uses):
        names = uses[interval]
        yield from ((names[0], name) for name in names[1:])
        before = [one for one in before if one[1] > interval[0]]
        for one in before:
            shared_s = min(one[1], interval[1]) - interval[0]
            if shared_s > SHARE * min(one[1] - one[0], interval[1] - interval[0]):
                yield uses[one][0], names[0]
        before.append(interval)


def _root(parents: dict[str, str], name: str) -> str:
    while parents[name] != name:
        # Halve the way for the next one who asks.
        parents[name] = parents[parents[name]]
        name = parents[name]
    return name
