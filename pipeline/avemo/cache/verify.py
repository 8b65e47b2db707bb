"""Every byte of every shard under a folder, checked: ``avemo cache verify``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from avemo.base.contracts import AvemoError, MachineError
from avemo.base.keys import shard_of
from avemo.cache.folders import files_under, require_folder
from avemo.cache.inventory import is_hidden
from avemo.cache.shard import Shard
from avemo.cache.shard_layout import NewerShard


@dataclass(frozen=True)
class Problem:
    """What is wrong with a file, and which clips it concerns (none known: all that the file holds).

    ``replaceable``: the next run makes the file anew once it is gone, computing these clips alone.
    """

    file: Path
    clips: tuple[str, ...]
    what: str
    replaceable: bool = True


def verify_folder(folder: Path, expected: Callable[[Path], Iterable[str]] = lambda _: ()) -> list[Problem]:
    """Problems of all shards under ``folder``, stores included, sorted by file.

    ``expected`` tells the clips of a shard that cannot be read. A shard with
    several names (published and in its store) is read once. Raises
    `AvemoError` if there is no such folder, or no shard in it.
    """
    require_folder(folder)
    aside = [
        Problem(path, (), "unreadable, set aside until the next run")
        for path in files_under(folder, ".corrupt")
    ]
    shards = list(_distinct(folder))
    if not (shards or aside):
        raise AvemoError(f"{folder}: expected feature shards (*.h5), found none; give a cache's path")
    problems = [problem for path in shards for problem in _verify(path, is_hidden(path, folder), expected)]
    return sorted(aside + problems, key=lambda problem: (problem.file, problem.clips))


def withdraw(problems: list[Problem], folder: Path) -> list[Path]:
    """Delete the published shards that have problems, so that the next run makes them anew.

    Their clips lie in the stores too; what is whole there is not computed again.
    """
    published = {p.file for p in problems if p.replaceable and not is_hidden(p.file, folder)}
    for path in published:
        try:
            path.unlink()
        except OSError as error:
            raise AvemoError(
                f"{path}: damaged, and cannot be withdrawn: {error.strerror}; run this where the cache can be written, "
                "or with --keep to be told of all damage"
            ) from error
    return sorted(published)


def _distinct(folder: Path) -> Iterator[Path]:
    """One path a file, published names before those in hidden folders."""
    seen: set[tuple[int, int]] = set()
    for path in sorted(files_under(folder, ".h5"), key=lambda path: (is_hidden(path, folder), path)):
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        if (stat.st_dev, stat.st_ino) not in seen:
            seen.add((stat.st_dev, stat.st_ino))
            yield path


def _verify(path: Path, hidden: bool, expected: Callable[[Path], Iterable[str]]) -> list[Problem]:
    try:
        with Shard(path) as shard:
            damaged = tuple(shard.verify())
            strangers = () if hidden else _strangers(shard)
    except (NewerShard, MachineError) as error:
        return [Problem(path, tuple(expected(path)), str(error), replaceable=False)]
    except AvemoError as error:
        # A store at work packs its parts into other files while we look.
        return [Problem(path, tuple(expected(path)), str(error))] if path.exists() else []
    found = [
        (damaged, "bytes differ from those written"),
        (strangers, f"from another place: {shard.info.get('corpus')}/{shard.info.get('component')}"),
    ]
    return [Problem(path, clips, what) for clips, what in found if clips]


def _strangers(shard: Shard) -> tuple[str, ...]:
    """The clips of a published shard that belong elsewhere: to another corpus, component or shard."""
    component, corpus = shard.path.parent.name, shard.path.parent.parent.name
    if (shard.info.get("corpus", corpus), shard.info.get("component")) != (corpus, component):
        return tuple(shard.index)
    count = shard.info.get("shards")
    if not isinstance(count, int) or not shard.path.stem.isdecimal():
        return ()
    return tuple(name for name in shard.index if shard_of(name, count) != int(shard.path.stem))
