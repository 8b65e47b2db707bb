"""The clip tables of several corpora as one, whose clips, speakers and groups are called by their corpora too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from avemo.base.keys import checked_id, united_id
from avemo.corpora.near_names import is_missing
from avemo.index.clip_table import Row


def united_rows(tables: Mapping[str, Iterable[Row]]) -> list[Row]:
    """The rows of all ``tables``, by corpus, sorted by id; raises `AvemoError` for ids that become too long.

    People of equal names in two corpora are two. A name that says that there is none stays as it is.
    """
    rows = [
        replace(
            row,
            clip_id=checked_id(united_id(corpus, row.clip_id)),
            speaker=row.speaker if is_missing(row.speaker) else united_id(corpus, row.speaker),
            group=united_id(corpus, row.group),
        )
        for corpus, table in tables.items()
        for row in table
    ]
    return sorted(rows, key=lambda row: row.clip_id)
