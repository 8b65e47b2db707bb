"""Markdown pages: their blocks of code, as a reader would type them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
FENCE = re.compile(r"^( *)```(\w+)?(?: title=\"(.*?)\")?\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
CONTROL = ("for ", "done", "do", "export ", "#")
"""How lines of shell begin that hold no command of ours."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its ``language``, the file it is to be written to, its text, and where it stands."""

    page: str
    line: int
    language: str
    title: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path, *languages: str) -> list[Block]:
    """The blocks of a page in these languages, in order."""
    text, name = page.read_text(), page.relative_to(REPOSITORY).as_posix()
    found = []
    for match in FENCE.finditer(text):
        indent, language, title, body = match.groups()
        body = re.sub(f"^{indent}", "", body, flags=re.MULTILINE)
        if language in languages:
            found.append(Block(name, text.count("\n", 0, match.start()) + 1, language, title or "", body))
    return found


def pages() -> list[Path]:
    """README, CONTRIBUTING and all pages of the site."""
    return [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]


def commands(block: Block) -> Iterator[list[str]]:
    """The words of each command of a shell block."""
    for line in block.text.replace("\\\n", " ").splitlines():
        if line.strip() and not line.strip().startswith(CONTROL):
            words = shlex.split(line, comments=True)
            ends = [i for i, word in enumerate(words) if word in (">", "|", "&&", ";")] or [len(words)]
            yield words[: ends[0]]
