"""Why a job would run, in words: a changed setting by its key, with its old and its new value."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from avemo.base.made_of import differences, made_of
from avemo.study.changed import CHANGED, TOLD

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
Recorded = Callable[[str], str | None]
"""The command that made a file; None if there is no record of it."""


def reasons(job: Any, reason: Any, recorded: Recorded) -> list[str]:
    """One phrase for each cause in Snakemake's ``reason`` for its ``job``."""
    # Inputs that are made anew are among the newer ones.
    newer = set(reason.updated_input) - {*reason.updated_input_run, str(CHANGED)}
    found = [
        said
        for cause, said in CAUSES.items()
        if (newer if cause == "updated_input" else getattr(reason, cause))
    ]
    if str(CHANGED) in reason.updated_input:
        found += [phrase for output in job.output for phrase in TOLD.get(str(output), ())]
    if reason.params_changed:
        found += _changed(job, recorded)
    if reason.missing_output:
        found += _missing(job, recorded)
    return list(dict.fromkeys(found)) or ["no reason given"]


def _changed(job: Any, recorded: Recorded) -> list[str]:
    before = recorded(str(job.output[0]))
    if before is None:
        return ["its settings have changed (the old ones are not recorded)"]
    return differences(_settings(before), _settings(job.shellcmd)) or ["its parameters have changed"]


def _missing(job: Any, recorded: Recorded) -> list[str]:
    """Missing outputs; for a component whose settings are new, in what they differ from a cached one."""
    output = Path(job.output[0])
    if recorded(str(output)):
        return ["its output was deleted"]
    if "shard" in job.wildcards_dict and not any(output.parent.glob("*.h5")):
        for sibling in siblings(output.parent):
            shard = sibling / f"{job.wildcards_dict['shard']}.h5"
            before, now = made_of(shard), _settings(job.shellcmd)
            told = [d for d in differences(before.cfg if before else now, now) if not d.startswith("id:")]
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
    return json.loads(words[words.index("--cfg") + 1]) if "--cfg" in words else {}
