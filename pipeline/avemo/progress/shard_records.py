"""What a shard job says of itself, for plans and progress: small JSON files in its store."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from avemo.base.atomic import aside

Record = TypeVar("Record", "Keys", "Counts")


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


def write_record(store: Path, record: Keys | Counts) -> None:
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
