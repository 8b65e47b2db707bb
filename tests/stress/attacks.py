"""What can befall a run's files beside kills: each attack many times, with what became of it."""

from __future__ import annotations

import errno
import os
import random
import resource
import signal
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import h5py
import numpy as np
import torch
from safetensors.torch import save_file

from avemo.base import passing
from avemo.base.atomic import aside_folder
from avemo.base.contracts import AvemoError, MachineError, Status
from avemo.cache import lock
from avemo.cache import store as store_module
from avemo.cache.items import Item
from avemo.cache.manifest import FeatureSet, write_manifest
from avemo.cache.shard import Shard
from avemo.cache.shard_writer import write_shard
from avemo.cache.store import ShardStore
from avemo.dataset.loading import ClipData
from avemo.evaluation.readings import note_reading, read_journal
from avemo.machine.gpus import leased
from avemo.training.checkpoint import CHECKPOINT, load_checkpoint, load_model, save_checkpoint, save_model
from avemo.weights.hashes import check, record, remembered_sha256
from stress.tally import Tally

INFO = {"component": "made up"}


@dataclass(frozen=True)
class Attack:
    """``once`` does it in an empty folder and says what became of it; ``harmless`` are the answers that hold."""

    name: str
    cases: int
    once: Callable[[Path, random.Random], str]
    harmless: tuple[str, ...]


def attack(folder: Path, size: float, generator: random.Random) -> Tally:
    """Every attack of `ATTACKS`, ``size`` times its number of cases."""
    tally = Tally()
    tally.table.append(("attack", "cases", "what became of it"))
    for each in ATTACKS:
        found: Counter[str] = Counter()
        for number in range(max(1, round(each.cases * size))):
            place = folder / each.name.replace(" ", "_") / str(number)
            place.mkdir(parents=True)
            answer = each.once(place, generator)
            tally.expect(answer in each.harmless, f"{each.name}: {answer}")
            found[answer] += 1
        told = "; ".join(f"{answer}: {count}" for answer, count in sorted(found.items()))
        tally.table.append((each.name, str(sum(found.values())), told))
    return tally


def items(count: int = 6, key: str = "k") -> list[Item]:
    """Clips of random frames."""
    frames = np.random.default_rng(0).standard_normal((count, 20, 4)).astype("<f4")
    return [Item(f"c{i}", key, Status.ok, "", x, np.arange(20.0)) for i, x in enumerate(frames)]


def flip(path: Path, generator: random.Random) -> None:
    """One bit anywhere in a file."""
    raw = bytearray(path.read_bytes())
    raw[generator.randrange(len(raw))] ^= 1 << generator.randrange(8)
    path.write_bytes(raw)


def bit_of_a_shard(folder: Path, generator: random.Random) -> str:
    """What training and statistics read of a published shard."""
    shard = folder / "0000.h5"
    write_shard(shard, items(), INFO)
    write_manifest(folder / "manifest.json", [shard], "made up", INFO)

    def read() -> str:
        with FeatureSet(folder / "manifest.json") as features:
            clips = [item.clip_id for item in items()]
            data = ClipData(features, None, dict.fromkeys(clips, 0))
            made = {name: each.to_dict() for name, each in data.fit(clips).items()}
            return repr([made, [batch.audio_BTD.numpy().tobytes() for batch in data.batches(clips, 4)]])

    return _same_or_refused(shard, read, generator)


def bit_of_a_checkpoint(folder: Path, generator: random.Random) -> str:
    """What a training would go on from."""
    save_checkpoint(
        folder, {"model": {"w": torch.ones(40)}, "rng": {"n": torch.arange(9)}}, {"history": [1.5]}
    )
    return _same_or_refused(folder / CHECKPOINT, lambda: repr(load_checkpoint(folder)), generator)


def bit_of_a_model(folder: Path, generator: random.Random) -> str:
    """What would be scored, or would predict."""
    path, layer = folder / "model.safetensors", torch.nn.Linear(6, 5)
    save_model(path, layer.state_dict(), {"model": "linear"})
    return _same_or_refused(path, lambda: repr([load_model(path, layer), layer.state_dict()]), generator)


def storage_away_once(folder: Path, generator: random.Random) -> str:
    """One error of the system while a store is opened, which does not come again."""
    return _opened_while_away(folder, generator, 1)


def storage_away(folder: Path, generator: random.Random) -> str:
    """The same error at every call."""
    return _opened_while_away(folder, generator, 10**6)


def _opened_while_away(folder: Path, generator: random.Random, times: int) -> str:
    wanted = {item.clip_id: item.key for item in items()}
    with ShardStore(folder / "store", INFO) as store:
        store.append(items())
    where, name = generator.choice([(h5py, "File"), (os, "preadv")])
    call, number, left = getattr(where, name), generator.choice(ERRORS), times

    def refused(*args: object, **kwargs: object) -> object:
        nonlocal left
        left -= 1
        if left < 0:
            return call(*args, **kwargs)
        raise OSError(number, os.strerror(number))

    answer = "went on, nothing lost"
    with patch.object(passing, "PAUSES_S", (0, 0)), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with patch.object(where, name, refused), ShardStore(folder / "store", INFO) as store:
                if store.missing(wanted):
                    return "CLIPS COUNT AS MISSING"
        except MachineError as error:
            answer = "stopped, nothing lost" if "nothing speaks against the file" in str(error) else "BLAMED"
        with ShardStore(folder / "store", INFO) as store:
            return "CLIPS LOST" if store.missing(wanted) else answer


def journal_cut(folder: Path, generator: random.Random) -> str:
    """The last line of a journal of readings ends anywhere, then another is added."""
    journal, reading = folder / "mult.jsonl", {"split": "split00", "model": "m", "inputs": {"audio": "f"}}
    for _ in range(2):
        note_reading(journal, reading)
    whole = journal.read_bytes()
    first = whole.index(b"\n") + 1
    journal.write_bytes(whole[: generator.randrange(first + 1, len(whole) - 1)])
    try:
        before = read_journal(journal)
        note_reading(journal, reading)
        after = read_journal(journal)
    except Exception as error:
        return f"STOPPED BY {type(error).__name__}"
    if (len(before.models), len(after.models)) != (1, 2):
        return "LINES LOST"
    return "read on, the cut line told" if len(before.cut) == len(after.cut) == 1 else "NOT TOLD"


def disk_full(folder: Path, generator: random.Random) -> str:
    """No room for a further line, as a limit of a process' files says it."""
    journal, reading = folder / "mult.jsonl", {"split": "split00", "model": "m", "inputs": {"audio": "f"}}
    note_reading(journal, reading)
    before = journal.read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    with _signal_ignored(signal.SIGXFSZ):
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + generator.randrange(40), limit[1]))
        try:
            note_reading(journal, reading)
            return "KEPT WITHOUT ROOM"
        except AvemoError:
            pass
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    return "refused, no half line" if journal.read_bytes() == before else "HALF A LINE"


@contextmanager
def _signal_ignored(number: signal.Signals) -> Iterator[None]:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(number, before)


def clips_not_named(folder: Path, generator: random.Random) -> str:
    """Runs that leave some clips out, or find their media gone or replaced, before one that has them all again."""
    wanted = {item.clip_id: item.key for item in items(12)}
    with ShardStore(folder / "store", INFO) as store:
        store.append(items(12))
        store.publish(wanted, folder / "0000.h5")
        for number in range(generator.randrange(1, 4)):
            left = dict(generator.sample(sorted(wanted.items()), generator.randrange(13)))
            for name in left:
                left[name] = generator.choice([left[name], f"gone {number}", f"other {number}"])
            others = [item for item in items(12, f"other {number}") if left.get(item.clip_id) == item.key]
            gone = [name for name, key in left.items() if key.startswith("gone")]
            store.append([*others, *(Item(name, left[name], Status.missing_file) for name in gone)])
            store.publish(left, folder / "0000.h5")
        return f"{len(store.missing(wanted)) or 'nothing'} to compute again"


def owner_stopped(folder: Path, generator: random.Random) -> str:
    """An owner stops at one of its steps for longer than its lease lives; another machine takes over meanwhile."""
    with patch.object(lock, "_machine", lambda: "the first"):
        first = ShardStore(folder / "store", INFO)
    first.append(items(2))
    everything = {item.clip_id: item.key for item in items(6)}
    stop, number = generator.choice([("write_shard", 0), ("write_shard", 1), ("_link", 0)])
    call, before = getattr(store_module, stop), [number]

    def late(*args: object, **kwargs: object) -> object:
        before[0] -= 1
        if before[0] == -1:
            for lease in (folder / "store").glob("lock-*"):
                os.utime(lease, (1, 1))
            with ShardStore(folder / "store", INFO) as second:
                second.append([item for item in items(6) if item.clip_id in second.missing(everything)])
                second.publish(everything, folder / "0000.h5")
        return call(*args, **kwargs)

    try:
        with patch.object(store_module, stop, late):
            first.append(items(4)[2:])
            first.publish({item.clip_id: item.key for item in items(4)}, folder / "0000.h5")
        return "WENT ON"
    except AvemoError as error:
        if "another took over" not in str(error):
            return f"STOPPED BY {error}"
    finally:
        first.close()
    with ShardStore(folder / "store", INFO) as store:
        lost = store.missing(everything)
    with Shard(folder / "0000.h5") as shard:
        theirs = shard.index.keys() == everything.keys()
    if lost or not (theirs or stop == "_link"):
        return "THE NEXT OWNER'S LOST"
    return "refused, nothing lost" if theirs else "refused after renaming, nothing lost"


PEOPLE, TEAM = (41001, 41002), 41000
NEEDS_ROOT = "not tried, as only root can be several people"


def two_people(folder: Path, generator: random.Random) -> str:
    """One after the other in a folder of their group, with the umask that lets it write."""
    if os.geteuid() != 0:
        return NEEDS_ROOT
    # Imports all that people will need: they may not be let into whose Python this is.
    _fill_and_read(folder / "root's own", {"c0": "k"})
    # Nor into the folders above ``folder``.
    with tempfile.TemporaryDirectory(prefix="avemo-people-", dir="/tmp") as shared:
        os.chown(shared, PEOPLE[0], TEAM)
        os.chmod(shared, 0o2775)
        return _in_turn(Path(shared), generator)


def _in_turn(folder: Path, generator: random.Random) -> str:
    wanted: dict[str, str] = {}
    for number in range(4):
        wanted[f"c{number}"] = "k"
        person = PEOPLE[number % 2] if number < 2 else generator.choice(PEOPLE)
        if _as_person(person, lambda: _fill_and_read(folder, wanted)):
            return f"PERSON {number + 1} FAILED"
    modes = {path.stat().st_mode & 0o060 for path in folder.rglob("*") if path.is_file()}
    groups = {path.stat().st_gid for path in folder.rglob("*")}
    return "all could" if (modes, groups) == ({0o060}, {TEAM}) else "MODES OR GROUPS DIFFER"


def _fill_and_read(folder: Path, wanted: dict[str, str]) -> None:
    folder.mkdir(exist_ok=True)
    with ShardStore(folder / "store", INFO) as store:
        by_name = {item.clip_id: item for item in items()}
        store.append([by_name[name] for name in store.missing(wanted)])
        store.publish(wanted, folder / "0000.h5")
    write_manifest(folder / "manifest.json", [folder / "0000.h5"], "made up", INFO)
    note_reading(folder / "mult.jsonl", {"split": "split00", "model": "m", "inputs": {}})
    save_model(folder / "model.safetensors", torch.nn.Linear(2, 2).state_dict(), {})
    load_model(folder / "model.safetensors", torch.nn.Linear(2, 2))
    network = folder / "weights" / "network"
    if not network.is_dir():
        with aside_folder(network, new=True) as temporary:
            # As its library writes it, which may be for its owner alone.
            save_file({"a": torch.zeros(2)}, temporary / "model.safetensors")
    check("network", network, None)
    record(network.parent, f"of {os.geteuid()}", "0" * 64)
    remembered_sha256(network, folder / "memory" / "weights.json")
    with FeatureSet(folder / "manifest.json") as features:
        for name in wanted:
            features.read(name)


def _as_person(person: int, act: Callable[[], None]) -> int:
    """What ``act`` ends with in a process of that person's, in the group: 0 where it could."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([TEAM])
            os.setgid(person)
            os.setuid(person)
            os.umask(0o002)
            act()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return os.waitpid(child, 0)[1]


def gpu_pool(folder: Path, generator: random.Random) -> str:
    """Somebody was first at the name of the folder of GPU leases, or of a device in it."""
    precious, pool = folder / "precious", folder / "pool"
    (precious / "0").mkdir(parents=True)
    kept = [precious / name for name in ("lock", "thesis", "0/data")]
    for path in kept:
        path.write_text("precious")
    place = generator.choice([pool, pool / "0", pool / "lock"])
    place.parent.mkdir(0o700, exist_ok=True)
    if generator.random() < 0.7:
        place.symlink_to(precious / place.name if place.name == "lock" else precious)
    else:
        place.mkdir()
        place.chmod(0o777)
    try:
        with leased(10, {"0": 100}, pool):
            return "USED"
    except (MachineError, OSError) as error:
        told = str(place) in str(error)
    whole = all(path.read_text() == "precious" for path in kept)
    return "refused by name, nothing touched" if whole and told else "TOUCHED"


def _same_or_refused(path: Path, read: Callable[[], str], generator: random.Random) -> str:
    before = read()
    flip(path, generator)
    try:
        return "read as it was" if read() == before else "READ AS ANOTHER"
    except AvemoError as error:
        return "refused by name" if path.name in str(error) or path.parent.name in str(error) else "REFUSED"


ERRORS = (
    *(errno.EIO, errno.ENOTCONN, errno.ETIMEDOUT, errno.ESTALE, errno.EACCES, errno.ENOMEM, errno.EMFILE),
)
WHOLE = ("refused by name", "read as it was")
ATTACKS = [
    Attack("a bit flips in a published shard", 200, bit_of_a_shard, WHOLE),
    Attack("a bit flips in a checkpoint", 200, bit_of_a_checkpoint, WHOLE),
    Attack("a bit flips in a model", 200, bit_of_a_model, WHOLE),
    Attack("one error of storage or machine", 200, storage_away_once, ("went on, nothing lost",)),
    Attack("storage away, memory or files used up", 200, storage_away, ("stopped, nothing lost",)),
    Attack(
        "clips not named, gone or replaced for a time", 200, clips_not_named, ("nothing to compute again",)
    ),
    Attack(
        "an owner stopped for longer than its lease",
        100,
        owner_stopped,
        ("refused, nothing lost", "refused after renaming, nothing lost"),
    ),
    Attack("a foreign folder of GPU leases", 100, gpu_pool, ("refused by name, nothing touched",)),
    Attack("several people in one cache", 20, two_people, ("all could", NEEDS_ROOT)),
    Attack("a journal of readings cut anywhere", 200, journal_cut, ("read on, the cut line told",)),
    Attack("a full disk under the journal", 100, disk_full, ("refused, no half line",)),
]
