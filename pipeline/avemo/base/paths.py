"""Paths as people write them in configs: ``~`` and ``$NAME`` mean what they mean in a shell."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from pydantic import AfterValidator

VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})", re.ASCII)
LONGEST_NAME, LONGEST_PATH = 255, 3000
"""Bytes; a path leaves room for what is put into its folder."""


def expanded(path: str) -> str:
    """A path with home and variables filled in; raises `ValueError` for what no path can be.

    >>> os.environ["PLACE"] = "disk"
    >>> expanded("/${PLACE}/a"), expanded("a$"), expanded("a~b")
    ('/disk/a', 'a$', 'a~b')
    """
    found = VARIABLE.sub(_value, path)
    if found.startswith("~"):
        found = os.path.expanduser(found)
        if found.startswith("~"):
            raise ValueError(
                f"expected a user with a home, found {path.split('/')[0]!r}; write the path out, or ./~ for a folder so called"
            )
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in found):
        raise ValueError("expected a path, found a character that does not print; take it out")
    length, longest = len(os.fsencode(found)), max(map(len, os.fsencode(found).split(b"/")))
    if length > LONGEST_PATH or longest > LONGEST_NAME:
        raise ValueError(
            f"expected a path of at most {LONGEST_PATH} bytes, {LONGEST_NAME} for each name, found {length} and {longest}"
        )
    return found


def _value(match: re.Match[str]) -> str:
    name = match[1] or match[2]
    if name not in os.environ:
        raise ValueError(
            f"expected a variable of the environment, found {match[0]}, which is not set; set it, or write the path out"
        )
    return os.environ[name]


def expanded_all(value: Any) -> Any:
    """Each path, or text, in ``value`` expanded; anything else as it is."""
    if isinstance(value, str):
        return expanded(value)
    if isinstance(value, Path):
        # Windows is not served, so a path's text is the path.
        return Path(expanded(str(value)))
    if isinstance(value, tuple):
        return tuple(map(expanded_all, value))
    if isinstance(value, dict):
        return {name: expanded_all(inner) for name, inner in value.items()}
    return value


def _in_rules(path: Any) -> Any:
    """A path that rules are made of: Snakemake takes braces for wildcards."""
    found = expanded(str(path))
    if not found or set("{}") & set(found):
        raise ValueError("expected a path without { and }, which Snakemake takes for wildcards; rename it")
    return type(path)(found)


InRules = AfterValidator(_in_rules)
"""Of a path, or a text that is one, of the workflow's rules."""
