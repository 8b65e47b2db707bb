"""Why a job would run, in words: a changed setting by its key, with its old and its new value."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

CAUSES = {
    "forced": "asked for by force",
    "incomplete_output": "was interrupted",
    "updated_input": "its inputs are newer",
    "updated_input_run": "its inputs are made anew",
    "input_changed": "it reads other files than before",
    "code_changed": "the rule's command has changed",
    "software_stack_changed": "the environment has changed",
}
"""What Snakemake's ``Reason`` may hold (``snakemake.jobs``), and how we say it."""
ABSENT = "none"

Recorded = Callable[[str], str | None]
"""The command that made a file; None if there is no record of it."""


def reasons(job: Any, reason: Any, recorded: Recorded) -> list[str]:
    """One phrase for each cause in Snakemake's ``reason`` for its ``job``."""
    # Inputs that are made anew are among the newer ones.
    newer = set(reason.updated_input) - set(reason.updated_input_run)
    found = [
        said
        for cause, said in CAUSES.items()
        if (newer if cause == "updated_input" else getattr(reason, cause))
    ]
    if reason.params_changed:
        found += _changed(job, recorded)
    if reason.missing_output:
        found += _missing(job, recorded)
    return found or ["no reason given"]


def differences(before: str, now: str) -> list[str]:
    """``key: old → new`` for each setting in the ``--cfg`` of two recorded commands.

    >>> differences("train --cfg '{\\"training\\": {\\"lr\\": 0.1}}'", "train --cfg '{\\"training\\": {\\"lr\\": 0.2}}'")
    ['training.lr: 0.1 → 0.2']
    """
    old, new = _settings(before), _settings(now)
    return [
        f"{key}: {old.get(key, ABSENT)} → {new.get(key, ABSENT)}"
        for key in dict.fromkeys([*old, *new])
        if old.get(key, ABSENT) != new.get(key, ABSENT)
    ]


def _changed(job: Any, recorded: Recorded) -> list[str]:
    before = recorded(str(job.output[0]))
    if before is None:
        return ["its settings have changed (the old ones are not recorded)"]
    found = differences(before, job.shellcmd)
    if found:
        return found
    if job.rule.name == "index":
        return ["the corpus' files have changed"]
    return ["its clips have changed"] if "shard" in job.wildcards_dict else ["its parameters have changed"]


def _missing(job: Any, recorded: Recorded) -> list[str]:
    """Missing outputs; for a component whose settings are new, in what they differ from a cached one."""
    output = Path(job.output[0])
    if recorded(str(output)):
        return ["its output was deleted"]
    if "shard" in job.wildcards_dict and not any(output.parent.glob("*.h5")):
        for sibling in siblings(output.parent):
            before = recorded(str(sibling / output.name)) or job.shellcmd
            told = [d for d in differences(before, job.shellcmd) if not d.startswith("id:")]
            if told:
                return [f"differs from {sibling.name}: {', '.join(told)}"]
    return ["not made yet"]


def siblings(folder: Path) -> list[Path]:
    """Folders of the same component with other settings, the newest first."""
    name = folder.name.rpartition("-")[0]
    found = [
        other for other in folder.parent.glob(f"{name}-*") if other != folder and any(other.glob("*.h5"))
    ]
    return sorted(found, key=lambda other: other.stat().st_mtime_ns, reverse=True)


def _settings(command: str) -> dict[str, Any]:
    words = shlex.split(command)
    if "--cfg" not in words:
        return {}
    return dict(_flat(json.loads(words[words.index("--cfg") + 1])))


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _flat(inner, f"{key}.{name}" if key else name)
    else:
        yield key, json.dumps(value)
