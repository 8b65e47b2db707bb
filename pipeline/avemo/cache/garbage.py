"""What no config refers to any more, and what no table does: ``avemo cache gc``."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from avemo.base.contracts import AvemoError
from avemo.cache.folders import files_under, require_folder
from avemo.cache.lock import Lock
from avemo.cache.shard import Shard

STORES = ".store"
PUBLISHED_ONCE = ("packed-*.h5", "rest-*.h5")


@dataclass(frozen=True)
class Garbage:
    """A corpus' component that can go, its published shards and its store, or files of a store; and what they take."""

    corpus: str
    component: str
    paths: tuple[Path, ...]
    bytes: int
    what: str = "unused"


def find_garbage(cache: Path, used: Mapping[str, set[str]]) -> list[Garbage]:
    """Components under ``cache`` that are not in ``used`` (corpus id to component ids), sorted.

    Raises `AvemoError` if there is no such folder.
    """
    require_folder(cache)
    corpora = sorted(path for path in cache.iterdir() if (path / STORES).is_dir())
    if not corpora:
        raise AvemoError(
            f"{cache}: expected a cache, which holds folders of corpora, found none; give its path"
        )
    found = []
    for corpus in corpora:
        for component in sorted(_components(corpus) - used.get(corpus.name, set())):
            folders = tuple(
                path for path in (corpus / component, corpus / STORES / component) if path.is_dir()
            )
            found.append(Garbage(corpus.name, component, folders, _bytes(folders)))
    return found


def find_unpublished(cache: Path, used: Mapping[str, set[str]]) -> list[Garbage]:
    """Of components that are in ``used``: files of stores with items that were published once and are not now.

    They are of clips that have left the clip table, or of media that were replaced. What a job has
    computed and not published yet is none of them.
    """
    found = []
    for corpus, components in sorted(used.items()):
        for component in sorted(components & _components(cache / corpus)):
            files = tuple(_unpublished(cache / corpus, component))
            if files:
                found.append(Garbage(corpus, component, files, _bytes(files), "unpublished"))
    return found


def _unpublished(corpus: Path, component: str) -> Iterator[Path]:
    for published in sorted((corpus / component).glob("*.h5")):
        with Shard(published) as shard:
            pairs = {(entry.clip_id, entry.key) for entry in shard.index.values()}
        store = corpus / STORES / component / published.stem
        for path in sorted(path for pattern in PUBLISHED_ONCE for path in store.glob(pattern)):
            with Shard(path) as kept:
                if not pairs & {(entry.clip_id, entry.key) for entry in kept.index.values()}:
                    yield path


def delete(garbage: Garbage) -> list[Path]:
    """Remove it; what links led to stays, as others may use it, and is returned.

    Raises `AvemoError` naming the owner if a job writes to it.
    """
    stores = [path.parent if path.is_file() else path for path in garbage.paths]
    stores += [inner for path in garbage.paths if path.is_dir() for inner in path.iterdir() if inner.is_dir()]
    for store in dict.fromkeys(stores):
        if store.parent.parent.name == STORES:
            Lock(store).release()
    kept = []
    for path in garbage.paths:
        if path.is_symlink():
            kept.append(path.resolve())
            path.unlink()
        elif path.is_dir():
            kept += [inner.resolve() for inner in path.rglob("*") if inner.is_symlink()]
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return kept


def _components(corpus: Path) -> set[str]:
    """Names that have a store: other folders, such as logs, are no components."""
    stores = corpus / STORES
    return {path.name for path in stores.iterdir() if path.is_dir()} if stores.is_dir() else set()


def _bytes(paths: tuple[Path, ...]) -> int:
    """Room on disk; a file with two names counts once."""
    every = [inner for path in paths for inner in ([path] if path.is_file() else files_under(path, ""))]
    files = [path.stat() for path in every if path.is_file()]
    return sum({stat.st_ino: stat.st_size for stat in files}.values())
