"""What a shard job says of itself, for plans and progress: small JSON files in its store."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from avemo.base.atomic import aside
from avemo.base.code import Code, differing, mixed

Record = TypeVar("Record", "Keys", "Counts", "MadeBy")


@dataclass(frozen=True)
class Keys:
    """What the keys of a store's items are made of (`avemo.base.keys.item_key`), media apart.

    ``modality`` is whose media, ``key_part`` the component's own; ``upstream``
    is the component whose items they are computed from, "" for none.
    """

    modality: str
    key_part: str
    upstream: str


@dataclass(frozen=True)
class Counts:
    """Clips of a shard, as its last finished job left them, and the seconds that job took over those it computed."""

    total: int
    computed: int
    reused: int
    failed: int
    seconds: float


@dataclass(frozen=True)
class MadeBy:
    """Through which code (`avemo.base.code`) what lies there was made; empty where that is not known of all."""

    code: dict[str, str]


def write_record(store: Path, record: Keys | Counts | MadeBy) -> None:
    """Put the record into a store's folder, instead of an older one."""
    store.mkdir(parents=True, exist_ok=True)
    with aside(_path(store, type(record))) as temporary:
        temporary.write_text(json.dumps(asdict(record)))


def read_record(store: Path, kind: type[Record]) -> Record | None:
    """The store's record of that kind; None if it has none, or one of other fields."""
    try:
        return kind(**json.loads(_path(store, kind).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _path(store: Path, kind: type) -> Path:
    return store / f"{kind.__name__.lower()}.json"


def take_up(
    folder: Path, now: Code, *, there: int, lacking: int, rerun: bool, forget: Callable[[], None]
) -> dict[str, str]:
    """The code by which all will be made once a job has gone on with a folder; noted there before it does.

    ``there`` things are there and ``lacking`` are to be made. `forget` those that are there where other code made them
    and a ``rerun`` is wanted.
    """
    kept = read_record(folder, MadeBy)
    then = kept.code if kept else {}
    if there and rerun and differing(then, now):
        forget()
        there = 0
    elif there and not lacking:
        return then
    made = mixed(then, now) if there and then else {} if there else dict(now)
    write_record(folder, MadeBy(made))
    return made
