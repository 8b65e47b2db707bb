"""A paper's runs, each laid over what they share.

A config is one run's (`avemo.study.config.RunConfig`), or::

    paper: NAME                # results lie under results/NAME/<run>
    tables: auxformer          # optional: whose tables to lay beside ours (`avemo.papers.definitions`)
    cache: cache               # these two hold for all runs
    results: results
    paths: {corpus: data/X}    # optional: text for each ``${corpus}`` below
    <any other key of a run>   # the base of every run
    runs:
      <run>: {<keys of a run>} # laid over the base, mapping into mapping; null takes a mapping away
"""

from __future__ import annotations

import os
import re
from typing import Any

from avemo.base.contracts import ConfigError
from avemo.base.registry import nearest
from avemo.study.config import NAME, RunConfig

FOLDERS_OF_ALL = ("tables", "figures", "logs")
"""What a paper's folder holds beside those of its runs."""


def expand(raw: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The unchecked runs of a config, by name, each laid over what they share."""
    if "paper" not in raw and "runs" not in raw:
        return {str(raw.get("run", "")): raw}
    paper, runs = raw.get("paper"), raw.get("runs")
    if not isinstance(paper, str) or not re.fullmatch(NAME, paper):
        raise ConfigError(
            f"config: paper: expected a name of at most 100 letters, digits, _ and -, found {str(paper)[:120]!r}"
        )
    if not isinstance(runs, dict) or not runs:
        raise ConfigError(f"config: runs: expected a mapping of at least one run, found {runs!r}")
    if "run" in raw:
        raise ConfigError(
            "config: run: expected no such key beside `runs`, whose keys are the names; delete it"
        )
    base = {
        key: value for key, value in raw.items() if key not in ("paper", "tables", "paths", "runs", "results")
    }
    given, paths = raw.get("results", RunConfig.model_fields["results"].default), raw.get("paths") or {}
    if not isinstance(given, str):
        raise ConfigError(f"config: results: expected a folder, found {given!r}")
    if not (isinstance(paths, dict) and all(isinstance(path, str) for path in paths.values())):
        raise ConfigError(f"config: paths: expected a text for each name, found {paths!r}")
    expanded = {}
    for name, own in runs.items():
        if name in FOLDERS_OF_ALL:
            raise ConfigError(
                f"config: runs.{name}: expected a name that no folder of the paper has; rename the run"
            )
        if not isinstance(own, dict):
            raise ConfigError(f"config: runs.{name}: expected the run's keys, found {own!r}")
        for key in ("run", "cache", "results"):
            if key in own:
                raise ConfigError(f"config: runs.{name}.{key}: it holds for all runs; put it beside `runs`")
        run = placed(overlaid(base, own), paths, f"runs.{name}")
        expanded[str(name)] = run | {"run": str(name), "results": f"{given}/{paper}"}
    return expanded


def overlaid(base: Any, own: Any) -> Any:
    """``own`` over ``base``: mappings are joined key by key, anything else replaces; None takes a mapping away.

    >>> overlaid({"a": {"b": 1}, "c": {"d": 2}}, {"a": {"b": 3}, "c": None})
    {'a': {'b': 3}}
    """
    if not (isinstance(base, dict) and isinstance(own, dict)):
        return own
    gone = {key for key, value in own.items() if value is None and isinstance(base.get(key), dict)}
    joined = base | {key: overlaid(base.get(key), value) for key, value in own.items()}
    return {key: value for key, value in joined.items() if key not in gone}


def placed(value: Any, paths: dict[str, str], where: str) -> Any:
    """``value`` with each ``${name}`` in its texts replaced; raises `ConfigError` for an unknown name.

    What the environment has a value for stays, as paths have it filled in.

    >>> placed({"root": "${mosei}/Raw"}, {"mosei": "data/MOSEI"}, "corpus")
    {'root': 'data/MOSEI/Raw'}
    """

    def text(match: re.Match[str]) -> str:
        if match[1] not in paths and match[1] in os.environ:
            return match[0]
        if match[1] not in paths:
            raise ConfigError(
                f"config: {where}: no {match[1]!r} among paths{nearest(match[1], paths) or '.'} "
                f"Known: {', '.join(paths)}"
            )
        return str(paths[match[1]])

    if isinstance(value, dict):
        return {key: placed(inner, paths, f"{where}.{key}") for key, inner in value.items()}
    if isinstance(value, list):
        return [placed(inner, paths, where) for inner in value]
    return re.sub(r"\$\{(\w+)\}", text, value) if isinstance(value, str) else value
