"""What code decides a thing, as digests that comments, docstrings and formatting leave alone.

From a definition one goes, by the names in it, to all definitions that it may use, in this package and in its own. Sources
are read and nothing is imported, so that a workflow can ask. Registries are not followed: who
asks names the component that was chosen, and the file of another one does not count.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from avemo.base.component import PACKAGE

Code = Mapping[str, str]
"""By file of a package, as in ``avemo/media/sound.py``: the digest of those of its definitions that are used."""
UNKNOWN: Code = {}
LENGTH = 16
IGNORED = ("ctx", "kind", "type_comment")
"""Fields of syntax trees that say nothing of what is computed."""
EFFECTS = (ast.Expr, ast.For, ast.With, ast.Assert, ast.AugAssign, ast.Delete)
"""Statements of a module that work whichever of its definitions is used."""


class Place(NamedTuple):
    """A definition; a module that was imported whole has ``*`` for a name, which defines nothing."""

    module: str
    name: str


class Module:
    """A file's definitions by name, and what its imports call what they import."""

    def __init__(self, module: str, path: Path):
        self.module, self.is_package = module, path.name == "__init__.py"
        tree = ast.parse(path.read_bytes())
        self.defined: dict[str, list[ast.stmt]] = {}
        self.effects: list[ast.stmt] = []
        for statement in _flat(tree.body):
            names = list(_names_of(statement))
            for name in names:
                self.defined.setdefault(name, []).append(statement)
            if not names and isinstance(statement, EFFECTS) and not _is_docstring(statement):
                self.effects.append(statement)
        self.imported = dict(self._imports(tree))

    def _imports(self, tree: ast.Module) -> Iterator[tuple[str, Place]]:
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for one in node.names:
                    yield one.asname or one.name.split(".")[0], Place(one.name, "*")
            elif isinstance(node, ast.ImportFrom):
                base = self._absolute(node)
                for one in node.names:
                    yield one.asname or one.name, Place(base, one.name)

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        above = self.module.split(".")[
            : None if self.is_package and node.level == 1 else -node.level + self.is_package
        ]
        return ".".join([*above, *filter(None, [node.module])])

    def statements(self, name: str) -> list[ast.stmt]:
        """Those that define a name; nothing for a registry."""
        return [one for one in self.defined.get(name, ()) if not _is_registry(one)]

    def uses(self, statement: ast.stmt) -> Iterator[Place]:
        """What a statement may use of its own file and of others."""
        for node in ast.walk(statement):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                # A name of a module that was imported whole.
                found = self.imported.get(node.value.id)
                if found:
                    yield Place(f"{found.module}.{found.name}".removesuffix(".*"), node.attr)
            if isinstance(node, ast.Name):
                yield Place(self.module, node.id)
                if node.id in self.imported:
                    yield self.imported[node.id]


def code_of(starts: Iterable[str], apart: Collection[str] = ()) -> dict[str, str]:
    """The code that definitions run through, given as ``module:name``, by file; modules and packages that are ``apart``
    do not count.

    >>> list(code_of(["avemo.base.keys:checked_id"]))
    ['avemo/base/contracts.py', 'avemo/base/keys.py']
    """
    used = followed(starts, apart)
    found = ((name, _module(name)) for name in sorted(used))
    return {_file(name): _digest(module, used[name]) for name, module in found if module}


def followed(starts: Iterable[str], apart: Collection[str] = ()) -> dict[str, set[str]]:
    """The names that `code_of` counts, by module."""
    used: dict[str, set[str]] = {}
    seen: set[Place] = set()
    tops, todo = {PACKAGE}, [Place(*start.split(":")) for start in starts]
    tops |= {place.module.split(".")[0] for place in todo}
    while todo:
        place = todo.pop()
        # A release alone, which is a name like ``__version__``, changes no number.
        ours = place.module.split(".")[0] in tops and not place.name.startswith("__")
        module = _module(place.module) if ours and not _is_of(place.module, apart) else None
        if module is None or place in seen:
            continue
        seen.add(place)
        if place.name in module.imported and place.name not in module.defined:
            todo.append(module.imported[place.name])
            continue
        statements = module.statements(place.name)
        if not statements:
            continue
        if place.module not in used:
            todo += [use for one in module.effects for use in module.uses(one)]
        used.setdefault(place.module, set()).add(place.name)
        todo += [use for one in statements for use in module.uses(one)]
    return used


def _is_of(module: str, packages: Iterable[str]) -> bool:
    return any(module == one or module.startswith(f"{one}.") for one in packages)


def differing(then: Code, now: Code) -> list[str]:
    """The files that differ; none where nothing is known of then."""
    return sorted(file for file in {*then, *now} if then.get(file) != now.get(file)) if then else []


def mixed(first: Code, second: Code) -> dict[str, str]:
    """What things are of that were made partly by one code and partly by another; equal to neither where they differ."""
    found = {}
    for file in sorted({*first, *second}):
        digests = {one for code in (first, second) for one in code.get(file, "absent").split(" ")}
        found[file] = " ".join(sorted(digests))
    return found


@cache
def _module(name: str) -> Module | None:
    path = _path(name)
    return Module(name, path) if path else None


def _path(name: str) -> Path | None:
    """Where a module's source lies; None if it has none."""
    top, *rest = name.split(".")
    spec = find_spec(top)
    if spec is None:
        return None
    for folder in spec.submodule_search_locations or ():
        base = Path(folder, *rest)
        for path in (base / "__init__.py", base.with_suffix(".py")):
            if path.is_file():
                return path
    return Path(spec.origin) if not rest and spec.origin and spec.origin.endswith(".py") else None


def _file(module: str) -> str:
    path = _path(module)
    parts = module.split(".")
    return "/".join(
        [*parts, path.name] if path and path.name == "__init__.py" else [*parts[:-1], f"{parts[-1]}.py"]
    )


def _digest(module: Module, names: Iterable[str]) -> str:
    found: list[Any] = [[name, [_plain(one) for one in module.statements(name)]] for name in sorted(names)]
    found.append([_plain(one) for one in module.effects])
    return hashlib.sha256(repr(found).encode()).hexdigest()[:LENGTH]


def _plain(node: Any) -> Any:
    """A syntax tree as lists, without docstrings and places; what is empty is left out, as Pythons differ in that."""
    if isinstance(node, ast.AST):
        fields = [(name, _plain(value)) for name, value in ast.iter_fields(node) if name not in IGNORED]
        return [type(node).__name__, *((name, value) for name, value in fields if value not in (None, []))]
    if isinstance(node, list):
        return [_plain(one) for one in node if not _is_docstring(one)]
    return repr(node) if node is not None else None


def _is_docstring(node: Any) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _flat(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements of a module, those in branches too."""
    for statement in body:
        if isinstance(statement, ast.If | ast.Try):
            for field in ("body", "orelse", "finalbody", "handlers"):
                for inner in getattr(statement, field, ()):
                    yield from _flat(inner.body if isinstance(inner, ast.ExceptHandler) else [inner])
        else:
            yield statement


def _names_of(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement gives."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for target in targets:
            yield from (node.id for node in ast.walk(target) if isinstance(node, ast.Name))


def _is_registry(statement: ast.stmt) -> bool:
    value = getattr(statement, "value", None)
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "Registry"
