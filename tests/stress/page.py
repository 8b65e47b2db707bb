"""Pages of measured numbers: one section a stage, each replaced by the command that measured it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from avemo.base.atomic import aside

HEAD = """# What the caches hold out against

One section a stage of `make stress`, each with the number of cases it rests on. The corpora are generated sounds and numbers; every process is real and killed for real.
"""


def write_section(
    page: Path,
    name: str,
    counts: Mapping[str, Any],
    table: Sequence[Sequence[Any]] = (),
    opening: str = HEAD,
) -> None:
    """Put a stage's counts, and a table whose first row is its head, in place of the section of that name."""
    text = page.read_text() if page.exists() else opening
    lines = [f"- {what}: {value}" for what, value in counts.items()]
    if table:
        head, *rows = [[str(cell) for cell in row] for row in table]
        lines += ["", *(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))]
    section = "\n".join([f"## {name[0].upper()}{name[1:]}", "", *lines, ""])
    found = re.search(
        rf"^{re.escape(section.splitlines()[0])}\n.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL
    )
    text = text.replace(found[0], section + "\n") if found else f"{text.rstrip()}\n\n{section}"
    with aside(page) as temporary:
        temporary.write_text(text.rstrip() + "\n")
