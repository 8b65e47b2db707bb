"""A run's clips, with labels and sides, as other programs read them: ``avemo export``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from avemo.base.atomic import aside_folder
from avemo.base.contracts import AvemoError
from avemo.base.registry import Registry
from avemo.exports.exported import Exported, read_exported

FORMS = Registry(
    "form",
    datasets="avemo.exports.to_datasets:write",
    audformat="avemo.exports.to_audformat:write",
    mmsa="avemo.exports.to_mmsa:write",
    webdataset="avemo.exports.to_webdataset:write",
)
"""One file and one line here each: what writes an `Exported` into an empty folder."""
RECORD = "avemo.json"
"""Beside what a form writes: what made it, and what must be said of it."""


def export(
    folder: Path, out: Path, form: str, split: int | str = 0, features: Sequence[str] | None = None
) -> Exported:
    """Write the clips of a run's ``folder`` to the new folder ``out``, which appears whole; what was written.

    Raises `AvemoError` if ``out`` exists, and for features that the form cannot hold.
    """
    if out.exists():
        raise AvemoError(f"{out}: expected a new folder, found one; delete it or name another")
    write: Callable[[Exported, Path], None] = FORMS.load(form)
    given = read_exported(folder, split, features)
    with aside_folder(out, new=True) as temporary:
        write(given, temporary)
        (temporary / RECORD).write_text(json.dumps(given.record(), indent=1) + "\n")
    return given
