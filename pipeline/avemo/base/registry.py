"""Registries: dictionaries from a public name to the class that owns it.

Values are import paths, so that listing names costs nothing and heavy
libraries load only with the component that needs them. Where a registry has a
``base``, other packages' classes can be named too: by an installed entry point
(groups: `avemo.base.component.GROUPS`), or by ``module:Class`` itself.
"""

from __future__ import annotations

import difflib
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from avemo.base.component import GROUPS, PACKAGE
from avemo.base.contracts import ConfigError


class Registry(dict[str, str]):
    """Names to ``"module:Class"``. An unknown name answers with the known ones.

    >>> Registry("step", joint="m:f").load("join")
    Traceback (most recent call last):
    avemo.base.contracts.ConfigError: unknown step 'join'; did you mean 'joint'? Known: joint
    """

    def __init__(self, kind: str, base: str = "", **entries: str):
        super().__init__(entries)
        self.kind, self.base = kind, base

    def load(self, name: str) -> Any:
        """What is registered under ``name``; raises `ConfigError` if there is nothing, or not a component."""
        found = self._imported(name)
        if self.base:
            self._check(name, found)
        return found

    def path(self, name: str) -> str:
        """The import path of ``name``; raises `ConfigError` for one that is unknown."""
        if name in self:
            return self[name]
        if self.base and ":" in name:
            return name
        installed = self._installed()
        if name in installed:
            return installed[name]
        known = sorted({*self, *installed})
        raise ConfigError(
            f"unknown {self.kind} {name!r}{nearest(name, known) or '.'} Known: {', '.join(known)}"
        )

    def foreign_sources(self, name: str) -> list[Path]:
        """Where the source of another package's component lies; nothing for this package's own."""
        top = self.path(name).split(":")[0].split(".")[0]
        spec = None if top == PACKAGE else find_spec(top)
        if spec is None:
            return []
        return [Path(place) for place in spec.submodule_search_locations or [spec.origin or ""]]

    def _installed(self) -> dict[str, str]:
        """Import paths of other packages' components by name. They take no name that stands here."""
        entries = entry_points(group=GROUPS[self.kind]) if self.base else ()
        return {entry.name: entry.value for entry in entries if entry.name not in self}

    def _imported(self, name: str) -> Any:
        path = self.path(name)
        module, _, attribute = path.partition(":")
        try:
            return getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            if name in self:
                raise
            raise ConfigError(
                f"{self.kind} {name!r}: expected a class at {path}, found {type(error).__name__}: {error}; "
                "install its package, or put the folder that holds it on PYTHONPATH"
            ) from error

    def _check(self, name: str, found: Any) -> None:
        module, _, attribute = self.base.partition(":")
        base: Any = getattr(import_module(module), attribute)
        fits = isinstance(found, type) and issubclass(found, base)
        wrong = (
            found.complaints() if fits else [f"expected a subclass of {module}.{attribute}, found {found!r}"]
        )
        if complaint := "; ".join(wrong):
            raise ConfigError(f"{self.kind} {name!r}: {complaint}; see docs/tutorials/plugin.md")


def nearest(name: str, known: Any) -> str:
    """``"; did you mean 'x'?"``, or nothing when no known name is close."""
    by_fold = {str(one).casefold(): str(one) for one in known}
    close = difflib.get_close_matches(name.casefold(), list(by_fold), n=1, cutoff=0.5)
    return f"; did you mean {by_fold[close[0]]!r}?" if close else ""
