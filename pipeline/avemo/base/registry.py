"""Registries: dictionaries from a public name to the class that owns it.

Values are import paths, so that listing names costs nothing and heavy
libraries load only with the component that needs them.
"""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import Any

from avemo.base.contracts import AvemoError


class Registry(dict[str, str]):
    """Names to ``"module:Class"``. An unknown name answers with the known ones.

    >>> Registry("extractor", compare_lld="m:C").load("compare_ld")
    Traceback (most recent call last):
    avemo.base.contracts.AvemoError: unknown extractor 'compare_ld'; did you mean 'compare_lld'? Known: compare_lld
    """

    def __init__(self, kind: str, **entries: str):
        super().__init__(entries)
        self.kind = kind

    def load(self, name: str) -> Any:
        """The class registered under ``name``; raises `AvemoError` if there is none."""
        if name not in self:
            raise AvemoError(
                f"unknown {self.kind} {name!r}{nearest(name, self) or '.'} Known: {', '.join(sorted(self))}"
            )
        module, attribute = self[name].split(":")
        return getattr(import_module(module), attribute)


def nearest(name: str, known: Any) -> str:
    """``"; did you mean 'x'?"``, or nothing when no known name is close."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""
