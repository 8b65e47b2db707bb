"""Fills what pages take from the code: config fields, commands, statuses, weights, signatures, files.

A block of a page begins with ``<!-- made: MAKER ARGUMENTS -->`` and ends with ``<!-- end -->``; what lies between is
written here. `python docs/generate.py` does it; a test says when it must be done again.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel

DOCS = Path(__file__).parent
ROOT = DOCS.parent
BLOCK = re.compile(r"(<!-- made: (\w+) ?(.*?) -->\n).*?(<!-- end -->)", re.DOTALL)


def loaded(path: str) -> Any:
    """What ``module:Name`` or ``module:Name.attribute`` names."""
    module, _, names = path.partition(":")
    found: Any = import_module(module)
    for name in names.split("."):
        found = getattr(found, name)
    return found


def fields(path: str) -> str:
    """A table of a config section's fields: ``module:Class``."""
    return "\n".join(_field_table(loaded(path)))


def components(path: str) -> str:
    """A section for each component of a registry, with the fields of its ``Config`` and, of corpora, ``Labels``."""
    registry, lines = loaded(path), []
    for name in registry:
        component = registry.load(name)
        lines += [f"### `{name}`", "", _about(component), "", *_field_table(component.Config), ""]
        if hasattr(component, "Labels"):
            labels = component.Labels
            lines += [f"Fields of `corpus.labels`. {_about(labels)}", "", *_field_table(labels), ""]
    return "\n".join(lines).rstrip()


def _field_table(section: type[BaseModel]) -> list[str]:
    properties = section.model_json_schema()
    told, required = _field_docs(section), properties.get("required", [])
    if not properties.get("properties"):
        return ["It has no fields."]
    rows = []
    for name, schema in properties["properties"].items():
        default = "must be given" if name in required else _default(section, name)
        rows.append(
            f"| `{name}` | {_kind(schema, properties.get('$defs', {}))} | {default} | {_cell(told.get(name, ''))} |"
        )
    return ["| field | values | default | |", "|---|---|---|---|", *rows]


def _default(section: type[BaseModel], name: str) -> str:
    value = section.model_fields[name].get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "its own defaults"
    return f"`{_yaml(value)}`" if value not in ("", ()) else "none"


def _yaml(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "null"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _kind(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    """What a field takes, in words."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return (
            f"a section, [`{name}`](#{name.lower()})" if "properties" in definitions.get(name, {}) else name
        )
    if "allOf" in schema:
        return _kind(schema["allOf"][0], definitions)
    if "anyOf" in schema:
        return " or ".join(_kind(one, definitions) for one in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    match schema.get("type"):
        case "array":
            return _list(schema, definitions)
        case "object":
            return "a mapping"
        case "null":
            return "`null`"
        case "string":
            return "a path" if schema.get("format") == "path" else "text"
        case "boolean":
            return "`true`, `false`"
    return {"integer": "a whole number", "number": "a number"}.get(
        schema.get("type", ""), "anything"
    ) + _bounds(schema)


def _list(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "prefixItems" in schema:
        kinds = dict.fromkeys(_kind(one, definitions) for one in schema["prefixItems"])
        return f"a list of {len(schema['prefixItems'])}: {', '.join(kinds)}"
    return f"a list: {_kind(schema['items'], definitions)}" if "items" in schema else "a list"


def _bounds(schema: dict[str, Any]) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    found = [f"{sign} {schema[name]:g}" for name, sign in signs.items() if name in schema]
    return " " + ", ".join(found) if found else ""


def _field_docs(section: type) -> dict[str, str]:
    """The text below each field, of a class and its bases."""
    told: dict[str, str] = {}
    for base in reversed(section.__mro__):
        if base.__module__.split(".")[0] in ("builtins", "pydantic", "typing"):
            continue
        try:
            body = ast.parse(inspect.cleandoc("\n" + inspect.getsource(base))).body[0]
        except (OSError, TypeError, SyntaxError, IndentationError):
            continue
        assert isinstance(body, ast.ClassDef)
        for field, text in zip(body.body, body.body[1:], strict=False):
            match field, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(about))):
                    told[name] = about
    return told


def commands() -> str:
    """Each command with its help, its options, and the environment variables that give them."""
    from avemo.cli.app import app

    lines = []
    for path, command in _walk(typer.main.get_command(app), ()):
        lines += [f"## `{' '.join(path)}`", "", *_told(command.help or ""), "", *_options(command), ""]
    return "\n".join(lines).rstrip()


def _walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that is no group, in order."""
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from _walk(inner, (*(path or ("avemo",)), name))
    else:
        yield path, command


def _told(text: str) -> Iterator[str]:
    """A docstring as paragraphs, its example as code."""
    about, _, example = inspect.cleandoc(text).partition("Example: ")
    yield _prose(about)
    if example:
        yield from ("", "```sh", " ".join(example.split()), "```")


def _options(command: Any) -> list[str]:
    rows = []
    for one in command.params:
        if one.name == "help":
            continue
        argument = one.param_type_name == "argument"
        name = one.name.upper() if argument else ", ".join((*one.opts, *one.secondary_opts))
        told = getattr(one, "show_default", None)
        given = "must be given" if one.required else told if isinstance(told, str) else _shown(one.default)
        about = _cell(one.help or "") + (f" Also by `{one.envvar}`." if one.envvar else "")
        rows.append(f"| `{name}` | {given} | {about} |")
    return (
        ["| argument or option | default | |", "|---|---|---|", *rows] if rows else ["It takes no options."]
    )


def _shown(default: Any) -> str:
    if callable(default) or default is None or default in ("", ()):
        return ""
    return "off" if default is False else f"`{default}`"


def statuses() -> str:
    """A table of how a clip can fare, with the remedy."""
    from avemo.base.contracts import REMEDIES, Status

    rows = [f"| `{one}` | {_cell(REMEDIES[one])} |" for one in Status if one is not Status.ok]
    return "\n".join(["| status | what to do |", "|---|---|", "| `ok` | nothing |", *rows])


def weights() -> str:
    """A table of the registered weights."""
    from avemo.weights.known import KNOWN

    rows = [
        f"| `{name}` | `{one.extractor}` | {_cell(one.layer)} | {_cell(re.sub(r'see .*?(?=[(]|$)', 'see its page ', one.licence))} | {_cell(one.note)} |"
        for name, one in KNOWN.items()
    ]
    return "\n".join(["| name | extractor | what it gives | licence | |", "|---|---|---|---|---|", *rows])


def file(path: str) -> str:
    """A file of the repository, as code."""
    text = (ROOT / path).read_text().rstrip()
    return f'```{"python" if path.endswith(".py") else "text"} title="{path}"\n{text}\n```'


def api(names: str) -> str:
    """Signature and docstring of each of ``module:name``, and of a class' public methods."""
    return "\n\n".join(_documented(name) for name in names.split())


def _documented(path: str) -> str:
    found, short = loaded(path), path.partition(":")[2]
    lines = [f"### `{short}`", "", f"`from {path.partition(':')[0]} import {short.split('.')[0]}`", ""]
    lines += ["```python", _signature(short, found), "```", "", _prose(inspect.getdoc(found) or "")]
    if inspect.isclass(found):
        lines += ["", *_methods(found)]
    return "\n".join(lines).rstrip()


def _methods(found: type) -> Iterator[str]:
    public = [(n, m) for n, m in vars(found).items() if not n.startswith("_") and inspect.getdoc(m)]
    for name, method in public:
        if isinstance(method, property):
            yield f"- `.{name}`: {_cell(inspect.getdoc(method) or '')}"
        elif inspect.isfunction(method):
            yield f"- `.{_signature(name, method)}`: {_cell(inspect.getdoc(method) or '')}"


def _signature(name: str, found: Any) -> str:
    try:
        signature = re.sub(
            r"\b(avemo|collections|pathlib|numpy|pandas|torch)(\.\w+)*\.(?=\w)",
            "",
            str(inspect.signature(found)),
        )
    except (TypeError, ValueError):
        return name
    return name + re.sub(r"\(self(, )?", "(", signature).replace("'", "").replace(" -> None", "")


def _about(found: Any) -> str:
    """All that a docstring says before its first example or list."""
    return _prose(re.split(r">>>|::\n", inspect.getdoc(found) or "")[0])


def _prose(text: str) -> str:
    """A docstring as Markdown: its examples as code."""
    text, _, examples = text.partition(">>>")
    shown = f"\n\n```python\n>>>{examples}\n```" if examples else ""
    return text.replace("``", "`").strip() + shown


def _cell(text: str) -> str:
    """Text of a table's cell."""
    return " ".join(_prose(text).split()).replace("|", "\\|")


MAKERS: dict[str, Callable[..., str]] = {
    maker.__name__: maker for maker in (fields, components, commands, statuses, weights, file, api)
}


def filled(text: str) -> str:
    """A page with each block made again."""

    def make(block: re.Match[str]) -> str:
        arguments = (block[3],) if block[3] else ()
        return f"{block[1]}\n{MAKERS[block[2]](*arguments)}\n\n{block[4]}"

    return BLOCK.sub(make, text)


def pages() -> Iterable[Path]:
    """The pages that hold blocks."""
    return [path for path in sorted(DOCS.rglob("*.md")) if BLOCK.search(path.read_text())]


if __name__ == "__main__":
    for path in pages():
        path.write_text(filled(path.read_text()))
        print(path.relative_to(ROOT))
