"""CREMA-D's layout: clips, vote table, and five partitions as VAVL published them."""

from __future__ import annotations

from pathlib import Path

from avemo.corpora.base import Counting
from avemo.corpora.crema_d import SOFT_COLUMNS, read_votes, soft_label
from avemo.synthetic.generate import generate
from avemo.synthetic.miniatures.studio import open_folder, rotated, settings, write_rows
from avemo.synthetic.takes import Take, all_takes
from avemo.synthetic.votes import LETTERS


def write(root: Path, speakers: int = 3, progress: Counting | None = None) -> None:
    """Six clips of each of ``speakers`` actors: ``AudioWAV``, ``VideoFlash``, ``processedResults``.

    ``partitions/label_consensus_<1 to 5>.csv`` hold the clips with a strict
    majority of audio-visual votes, three actors or more on three sides.
    """
    config = settings(speakers)
    open_folder(root, "CREMA-D")
    generate(root, config, progress)
    votes = read_votes(root / "processedResults" / "tabulatedVotes.csv")
    counted = {row["fileName"]: row for row in votes if row[""].startswith("3")}
    for number in range(5):
        write_rows(
            root / "partitions" / f"label_consensus_{number + 1}.csv",
            ("FileName", *SOFT_COLUMNS.values(), "SpkrID", "Gender", "Split_Set"),
            _partition(all_takes(config), counted, rotated(speakers, number)),
        )


def _partition(takes: list[Take], votes: dict[str, dict[str, str]], sides: list[str]) -> list[list[object]]:
    rows: list[list[object]] = []
    for take in takes:
        counts = {letter: int(votes[take.name][letter]) for letter in LETTERS}
        if 2 * max(counts.values()) > sum(counts.values()):
            share = soft_label(counts)
            side = sides[int(take.actor.name) - 1001]
            values = [round(0.94 * share[letter] + 0.01, 3) for letter in SOFT_COLUMNS]
            rows.append([f"{take.name}.wav", *values, take.actor.name, take.actor.sex.capitalize(), side])
    return rows
