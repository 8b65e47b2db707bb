"""Kill ``avemo tables`` and ``avemo report``: what is there is whole, and the rerun writes the same."""

from __future__ import annotations

import random
import time
from pathlib import Path

from stress.arena import TINY, Arena
from stress.by_hand import ByHand
from stress.deaths import after, deaths, moment, strike
from stress.tally import Tally


def kill_report(folder: Path, kills: int, generator: random.Random) -> Tally:
    """Kill the writing of tables or of the page, half the time with all of them gone before."""
    tally = Tally()
    arena = Arena(
        folder,
        clips=32,
        shards=1,
        systems={"mult": TINY, "other": TINY},
        training={"epochs": 1, "device": "cpu"},
        splits={"n": 1, "dev": 0.25, "test": 0.25},
    )
    hand = ByHand(arena)
    hand.prepare()
    hand.score()
    run = folder / "results" / "stress"
    results = str(hand.layout.results)
    page = ["report", "--run", results, "--out", str(hand.layout.report)]
    commands = {"tables": ["tables", "--run", results], "report": page}
    lasts_s = {}
    for name, command in commands.items():
        begin = time.monotonic()
        arena.avemo(*command)
        lasts_s[name] = time.monotonic() - begin
    expected = _written(run)
    tally.expect(len(expected) > 10, f"only {len(expected)} files written")
    for how in deaths(kills, generator, tally):
        for path in _written(run) if generator.random() < 0.5 else ():
            path.unlink()
        name = generator.choice(list(commands))
        process = arena.start(*commands[name])
        tally[how] += strike(process, how, after(moment(how, generator) * lasts_s[name]), generator, tally)
        for path, content in _written(run).items():
            tally.expect(content == expected.get(path), f"{how}: {path.name} is not whole")
        for command in commands.values():
            arena.avemo(*command)
        found = _written(run)
        other = [path.name for path in expected if found.get(path) != expected[path]]
        tally.expect(found == expected, f"{how}: the rerun wrote other files: {other[:5]}")
        tally["rewritten and equal"] += found == expected
    return tally


def _written(run: Path) -> dict[Path, bytes]:
    files = [*(run / "tables").glob("[!.]*"), *(run / "figures").glob("[!.]*"), *run.glob("report.html")]
    return {path: path.read_bytes() for path in sorted(files)}
