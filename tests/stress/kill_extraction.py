"""Kill ``avemo extract`` at random moments.

Every way to die leaves a store that opens and verifies; nothing that was kept
is computed again; at most what had not been flushed is.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

from avemo.cache.shard import Shard
from avemo.cache.store import ShardStore
from avemo.cache.verify import verify_folder
from stress.arena import Arena
from stress.by_hand import ByHand
from stress.deaths import GENTLE, deaths, moment, strike
from stress.tally import Tally

FLUSH_ITEMS = 64
"""What `avemo.cache.fill` keeps in memory at most."""


class Extraction:
    """The one shard of a small corpus, to be extracted into folders of any name."""

    def __init__(self, folder: Path, clips: int):
        self.folder, self.arena = folder, Arena(folder, clips=clips, shards=1)
        self.hand = ByHand(self.arena)
        self.hand.index()
        self.arena.avemo(*self.command("undisturbed"))
        self.arena.computed()
        self.expected = self.output("undisturbed").read_bytes()
        with Shard(self.output("undisturbed")) as shard:
            self.info, self.wanted = shard.info, {entry.clip_id: entry.key for entry in shard.index.values()}

    def output(self, name: str) -> Path:
        """The published shard."""
        return self.folder / name / "table" / self.hand.component / "0000.h5"

    def command(self, name: str) -> list[str]:
        """What extracts it."""
        store = self.folder / name / "table" / ".store" / self.hand.component / "0000"
        return self.hand.extract(0, self.output(name), store)

    def held(self, name: str, tally: Tally) -> set[str]:
        """What a store holds after it was opened and every byte of it verified."""
        stores = list((self.folder / name).glob("table/.store/*/*"))
        if not stores:
            return set()
        problems = verify_folder(self.folder / name)
        tally.expect(not problems, f"does not verify: {str(problems)[:300]}")
        with ShardStore(stores[0], self.info) as store:
            return self.wanted.keys() - set(store.missing(self.wanted))

    def finish(self, name: str, tally: Tally) -> None:
        """Run to the end: the shard must have the bytes of one that nobody disturbed."""
        self.arena.avemo(*self.command(name))
        same = self.output(name).read_bytes() == self.expected
        tally.expect(same, f"other items than undisturbed: {self.different(name)}")
        tally["shards finished and equal"] += same
        self.arena.computed()
        shutil.rmtree(self.folder / name)

    def different(self, name: str) -> list[str]:
        """The first clips whose items are not those of the undisturbed shard."""
        with Shard(self.output(name)) as found, Shard(self.output("undisturbed")) as expected:
            pairs = [(found.entry(clip), expected.entry(clip)) for clip in expected.index]
        return [f"{a.clip_id}: {a.status} {a.detail}" for a, b in pairs if a.checksum != b.checksum][:3]


def at_clip(arena: Arena, number: int) -> Callable[[], bool]:
    """Ready when so many clips have been begun."""
    return lambda: arena.begun() >= number


def kill_extraction(folder: Path, kills: int, generator: random.Random) -> Tally:
    """Kill the extraction again and again; finish it, compare, begin anew."""
    tally, run = Tally(), Extraction(folder, clips=130)
    for how in deaths(kills, generator, tally):
        held = run.held("killed", tally)
        process = run.arena.start(*run.command("killed"))
        clip = round(moment(how, generator) * (len(run.wanted) - len(held)))
        died = strike(process, how, at_clip(run.arena, clip), generator, tally)
        begun = {line.split()[1] for line in run.arena.computed()}
        now = run.held("killed", tally)
        tally.expect(not begun & held, f"{how}: computed again: {sorted(begun & held)[:3]}")
        tally.expect(held <= now, f"{how}: items lost: {sorted(held - now)[:3]}")
        most = 1 if how in GENTLE else FLUSH_ITEMS
        tally.expect(len(begun - now) <= most, f"{how}: {len(begun - now)} clips in flight, at most {most}")
        tally["items lost"] += len(held - now)
        tally["clips in flight, most"] = max(tally["clips in flight, most"], len(begun - now))
        tally[how] += died
        if not died or len(now) == len(run.wanted):
            run.finish("killed", tally)
    if run.arena.begun() or (folder / "killed").exists():
        run.finish("killed", tally)
    return tally
