"""YAML that people wrote: plain data, each key once and a text, or an error that names the line."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import yaml

from avemo.base.contracts import AvemoError, ConfigError
from avemo.base.text_files import read_text

MOST_CHARACTERS, DEEPEST, MOST_VALUES = 500_000, 50, 20_000
"""Of a file, of values in values, and of all values once aliases are written out."""
PYTHON_KEY = "__use_yte__"
"""With it Snakemake runs the Python in a config's texts, in a dry run too."""
PLAIN = {"str", "int", "float", "bool", "null", "seq", "map"}
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: Path) -> Any:
    """What a YAML (or JSON) file holds. Raises `ConfigError` naming file, line and remedy."""
    try:
        if not path.is_file():
            # A pipe or a device may never end.
            raise ConfigError(
                f"{path}: expected a config file, found {'another kind' if path.exists() else 'none'}"
            )
        if path.stat().st_size > 4 * MOST_CHARACTERS:
            raise ConfigError(_too_long(path))
        text = read_text(path)
    except ConfigError:
        raise
    except AvemoError as error:
        raise ConfigError(str(error)) from error
    except (OSError, ValueError) as error:
        found = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"{str(path)[:200]!r}: expected a YAML file, found {found}") from error
    return parse_yaml(text, path)


def parse_yaml(text: str, where: Path) -> Any:
    """The same of a text that lies at ``where``."""
    if len(text) > MOST_CHARACTERS:
        raise ConfigError(_too_long(where))
    if text.lstrip()[:1] in ("{", "["):
        # JSON may be indented by tabs, which YAML may not; its texts hold none.
        text = text.replace("\t", " ")
    try:
        _check_extent(text, where)
        node = yaml.compose(text, Loader=_Loader)
        if node is None:
            return None
        _check(node, where, {})
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where}: not valid YAML: {error}") from error
    except ValueError as error:
        # A number of thousands of digits, say.
        raise ConfigError(f"{where}: expected plain values, found {error}; put texts into quotes") from error


def _too_long(where: Path) -> str:
    return f"{where}: expected a YAML file of at most {MOST_CHARACTERS} characters, found more; is it the right file?"


def _check_extent(text: str, where: Path) -> None:
    """Raise `ConfigError` for values within values without end, before anything recurses into them, and for too many."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=_Loader)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST or number > 2 * MOST_VALUES:
            raise ConfigError(
                f"{where}, line {_line(event)}: expected {MOST_VALUES} values, {DEEPEST} deep at most, found more; "
                "is it the right file?"
            )


def _check(node: yaml.Node, where: Path, sizes: dict[int, int]) -> int:
    """How many values a node holds, its aliases written out; raises `ConfigError` for keys that are none of ours."""
    if id(node) in sizes:
        if not sizes[id(node)]:
            raise ConfigError(
                f"{where}, line {_line(node)}: expected an alias of another value, found one of itself"
            )
        return sizes[id(node)]
    sizes[id(node)] = 0
    _check_value(node, where)
    size = 1
    if isinstance(node, yaml.MappingNode):
        _check_keys(node, where)
        size += sum(_check(value, where, sizes) for _, value in node.value)
    elif isinstance(node, yaml.SequenceNode):
        size += sum(_check(value, where, sizes) for value in node.value)
    if size > MOST_VALUES:
        raise ConfigError(
            f"{where}, line {_line(node)}: expected at most {MOST_VALUES} values, "
            "found more once its aliases are written out; write out what is meant"
        )
    sizes[id(node)] = size
    return size


def _check_value(node: yaml.Node, where: Path) -> None:
    """Raise `ConfigError` for a value that JSON has not, or that YAML reads as another than is written."""
    kind = _kind(node)
    if kind in ("int", "float") and not _is_plain(node.value):
        kind = f"{kind} {yaml.load(node.value, Loader=_Loader)}"
    if kind not in PLAIN:
        raise ConfigError(
            f"{where}, line {_line(node)}: expected text, number, list or mapping, "
            f"found {str(node.value)[:60]!r}, which YAML reads as {kind}; put it into quotes"
        )


def _is_plain(number: str) -> bool:
    """Whether a number is finite, not octal as ``010``, and does not count in sixties as ``12:30`` does."""
    if re.match(r"[-+]?0[0-9_]", number):
        return False
    try:
        return ":" not in number and math.isfinite(float(number.replace("_", "")))
    except (ValueError, OverflowError):
        # Binary and hexadecimal ones.
        return number.lstrip("+-")[:2].lower() in ("0x", "0b")


def _kind(node: yaml.Node) -> str:
    """``int``, say; of a tag that is not YAML's own all of it."""
    return str(node.tag).removeprefix("tag:yaml.org,2002:")


def _check_keys(node: yaml.MappingNode, where: Path) -> None:
    lines: dict[str, int] = {}
    for key, _ in node.value:
        line = _line(key)
        kind = _kind(key)
        if kind not in ("str", "merge"):
            shown = key.value if isinstance(key, yaml.ScalarNode) else f"a {key.id}"
            raise ConfigError(
                f"{where}, line {line}: expected a text as key, found {shown!r}, which YAML reads as {kind}; "
                "put it into quotes"
            )
        if key.value == PYTHON_KEY:
            raise ConfigError(
                f"{where}, line {line}: expected data, found {PYTHON_KEY}, which runs Python; delete the key"
            )
        if key.value in lines:
            raise ConfigError(
                f"{where}, line {line}: expected the key {key.value!r} once in its mapping, found it in line "
                f"{lines[key.value]} too; delete or rename one"
            )
        lines[key.value] = line


def _line(of: Any) -> int:
    return int(of.start_mark.line) + 1
