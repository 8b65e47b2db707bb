"""What `mkdocs build` does to the pages: drawings that a browser would have to fetch a program for become pictures."""

from __future__ import annotations

import re
from typing import Any

DRAWING = re.compile(r"```mermaid\n.*?```", re.DOTALL)
PICTURE = "![Rooms and arrows: each may import those it can be reached from](house.svg)"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page with its drawing as docs/house.svg, which `make dag` makes of it."""
    return DRAWING.sub(PICTURE, markdown)
