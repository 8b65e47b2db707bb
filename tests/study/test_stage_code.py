"""Through which code a stage goes is what its command calls: read from the commands themselves, not from a list."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import avemo
from avemo.base.code import Module, Place, followed
from avemo.corpora import CORPORA
from avemo.features import EXTRACTORS
from avemo.models import MODELS
from avemo.study.stage_code import CALLED, apart
from avemo.training import STEPS

PACKAGE = Path(avemo.__file__).parent
ROOMS = (
    "media",
    "corpora",
    "index",
    "faces",
    "features",
    "dataset",
    "models",
    "training",
    "evaluation",
    "report",
)
"""Those that make numbers."""
THROUGH = ("avemo.cli", "avemo.study.inputs")
"""Where commands are, and what they share."""
COMMANDS = {
    "index": ("corpus:index", (CORPORA.path("table"),)),
    "labels": ("corpus:labels", (CORPORA.path("table"),)),
    "united index": ("corpus:index", ()),
    "united labels": ("corpus:labels", ()),
    "splits": ("training:splits", ()),
    "faces": ("extraction:track", ()),
    "crops": ("extraction:crops", ()),
    "audio": ("extraction:_media_work", (EXTRACTORS.path("logmel"),)),
    "visual": ("extraction:_visual_work", (EXTRACTORS.path("efficientnet_b2"),)),
    "visual without faces": ("extraction:_media_work", (EXTRACTORS.path("efficientnet_b2"),)),
    "visual of kept crops": ("extraction:_visual_work", (EXTRACTORS.path("efficientnet_b2"),)),
    "imported": ("extraction:_imported_work", (EXTRACTORS.path("imported_visual"),)),
    "models": ("training:train", (MODELS.path("mult"), STEPS.path("joint"))),
    "trials": ("search:trial", (MODELS.path("mult"), STEPS.path("joint"))),
    "choice": ("search:take_over", ()),
    "scores": ("training:evaluate", (MODELS.path("mult"),)),
    "baselines": ("baselines:baselines", ()),
    "linear": ("baselines:linear", ()),
    "tests": ("training:tests", ()),
    "quality": ("quality:quality", ()),
    "report": ("report:report", ()),
    "paper": ("paper:write_paper", ()),
}
SILENT = {
    # What is written and how, and where one looks.
    *(
        "avemo.index.clip_table:write_table",
        "avemo.dataset.labels:save_labels",
        "avemo.dataset.splits:save_splits",
    ),
    *("avemo.training.checkpoint:save_model", "avemo.training.checkpoint:CHECKPOINT"),
    *("avemo.report.writers:to_csv", "avemo.report.writers:to_html", "avemo.report.writers:to_latex"),
    *("avemo.report.writers:Table", "avemo.report.figures:save_svg", "avemo.report.figures:Chart"),
    # What is told on the way.
    *(
        "avemo.dataset.across:left_out_counts",
        "avemo.dataset.across:LEFT_OUT",
        "avemo.index.same_media:same_media",
    ),
    *(
        "avemo.index.same_media:told",
        "avemo.dataset.absences:absences",
        "avemo.evaluation.readings:note_reading",
    ),
    *("avemo.training.record:hardware", "avemo.training.watch:Watch", "avemo.training.loop:Listener"),
    *("avemo.training.profiled:ProfiledData", "avemo.training.search:shown"),
    # Whether anything may be made: a file is another's, or changed meanwhile.
    *(
        "avemo.index.source:require_same_source",
        "avemo.index.source:source_of",
        "avemo.index.seen_media:SeenMedia",
    ),
    *("avemo.index.media_hashes:HashCache", "avemo.index.media_hashes:fingerprint"),
    "avemo.index.media_hashes:is_media",
    # Keys of items say it themselves.
    *("avemo.index.clip_table:shard_rows", "avemo.index.clip_table:digest_of", "avemo.index.clip_table:Row"),
    "avemo.index.clip_table:read_table",
    # How pages look; what they draw is in tables.
    *(
        "avemo.report.run_page:run_page",
        "avemo.report.run_page:run_charts",
        "avemo.report.paper_page:render_paper",
    ),
    *("avemo.report.paper_figures:paper_chart", "avemo.evaluation.run_audit:audited"),
}
"""What commands call of these rooms that makes no number of theirs."""


@cache
def module_of(name: str) -> Module | None:
    base = PACKAGE.joinpath(*name.split(".")[1:])
    path = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    return Module(name, path) if path.is_file() else None


def called(command: str) -> Iterator[Place]:
    """What a command, and the functions of its room that it goes through, use of other rooms."""
    file, _, name = command.partition(":")
    others = {other.partition(":")[2] for other, _ in COMMANDS.values()}
    todo, seen = [Place(f"avemo.cli.{file}", name)], set()
    while todo:
        place = todo.pop()
        module = module_of(place.module) if place.module.startswith("avemo.") else None
        # Variables are called as other commands are.
        if place in seen or module is None or (seen and place.name in others):
            continue
        seen.add(place)
        if not place.module.startswith(THROUGH):
            yield place
        elif place.name in module.imported and place.name not in module.defined:
            todo.append(module.imported[place.name])
        else:
            todo += [use for one in module.statements(place.name) for use in module.uses(one)]


def is_registry(place: Place) -> bool:
    module = module_of(place.module)
    found = [
        one
        for one in ast.walk(ast.Module(module.defined.get(place.name, []), []))
        if isinstance(one, ast.Call)
    ]
    return any(isinstance(one.func, ast.Name) and one.func.id == "Registry" for one in found)


def counted(stage: str) -> set[Place]:
    found = followed([*CALLED[stage], *COMMANDS[stage][1]], apart(stage))
    return {Place(module, name) for module, names in found.items() for name in names}


def test_every_stage_has_its_command():
    assert COMMANDS.keys() == CALLED.keys()


@pytest.mark.parametrize("command", sorted({command for command, _ in COMMANDS.values()}))
def test_whatever_a_command_calls_for_its_numbers_is_followed(command):
    """Of a command that serves several stages, by one of these."""
    stages = [stage for stage, (of, _) in COMMANDS.items() if of == command]
    makers = {
        place
        for place in called(command)
        if place.module.split(".")[1] in ROOMS and place.name != "*" and not is_registry(place)
    }
    assert makers or stages == ["imported"]
    left = makers - set().union(*map(counted, stages))
    assert {f"{place.module}:{place.name}" for place in left} - SILENT == set()


def test_the_list_of_what_makes_no_number_names_what_there_is():
    for name in SILENT:
        module, _, of = name.partition(":")
        assert module_of(module).statements(of), name
