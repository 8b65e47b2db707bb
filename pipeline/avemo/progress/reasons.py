"""Why a job would run, in words: a changed setting by its key, with its old and its new value."""

from __future__ import annotations

import json
import shlex
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from avemo.progress.dryrun import Job

MARKS = {
    "Forced execution": "asked for by force",
    "Incomplete output files": "was interrupted",
    "Updated input files": "its inputs are newer",
    "Input files updated by another job": "its inputs are made anew",
    "Set of input files has changed": "it reads other files than before",
    "Code has changed": "the rule's command has changed",
    "Software environment definition has changed": "the environment has changed",
}
"""Snakemake 9.27's sentences (``Reason.__str__``) and ours."""
METADATA = Path(".snakemake/metadata")
ABSENT = "none"
CLIPS = "its clips have changed (those with an old id and other media count as cached here)"
NAME_MAX = 254


def reasons(job: Job, metadata: Path = METADATA) -> list[str]:
    """One phrase for each cause Snakemake gives for a job."""
    found = [ours for theirs, ours in MARKS.items() if theirs in job.reason]
    if "Params have changed" in job.reason:
        found += _changed(job, metadata)
    if "Missing output files" in job.reason:
        found += _missing(job, metadata)
    return found or [job.reason or "no reason given"]


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


def recorded_command(output: str, metadata: Path = METADATA) -> str | None:
    """The command that made ``output``, as Snakemake recorded it; None if it has no record.

    A record's file is named by the output's path in base 64, cut where names
    would be too long (``snakemake/persistence/file.py`` of 9.27).
    """
    name = urlsafe_b64encode(output.encode()).decode()
    parts = [name[start : start + NAME_MAX] for start in range(0, len(name), NAME_MAX)]
    path = metadata.joinpath(*(f"@{part}" for part in parts[:-1]), parts[-1])
    if not path.is_file():
        return None
    return json.loads(path.read_text()).get("shellcmd") or None


def _changed(job: Job, metadata: Path) -> list[str]:
    before = recorded_command(job.output[0], metadata)
    if before is None:
        return ["its settings have changed (the old ones are not recorded)"]
    found = differences(before, job.command)
    if found:
        return found
    if job.rule == "index":
        return ["the corpus' files have changed"]
    return [CLIPS] if "shard" in job.wildcards else ["its parameters have changed"]


def _missing(job: Job, metadata: Path) -> list[str]:
    """Missing outputs; for a component whose settings are new, in what they differ from a cached one."""
    if recorded_command(job.output[0], metadata):
        return ["its output was deleted"]
    output = Path(job.output[0])
    if "shard" in job.wildcards and not any(output.parent.glob("*.h5")):
        for sibling in siblings(output.parent):
            before = recorded_command(str(sibling / output.name), metadata)
            told = [d for d in differences(before or job.command, job.command) if not d.startswith("id:")]
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
