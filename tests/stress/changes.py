"""What each kind of change makes the workflow compute: one finished run, one change at a time, clips and jobs counted."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stress.arena import REPOSITORY, TINY, Arena, write_sound
from stress.tally import Tally

CLIPS = 24
LATER = {"tests": 1, "report": 1}


@dataclass(frozen=True)
class Case:
    """A change, the clips it should compute by component, and the jobs it should run (None: any)."""

    name: str
    change: Callable[[Run], None]
    clips: dict[str, int]
    jobs: dict[str, int] | None = None
    target: str = "features"


class Run:
    """A small finished run on a copy of the package, which cases may edit."""

    def __init__(self, folder: Path):
        self.code = folder / "code"
        for name in ("pipeline", "workflow", "tests", "envs"):
            shutil.copytree(REPOSITORY / name, self.code / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(REPOSITORY / "Snakefile", self.code)
        self.arena = Arena(
            folder / "run",
            clips=CLIPS,
            shards=2,
            code=self.code,
            systems={"mult": TINY},
            training={"epochs": 1, "device": "cpu"},
            splits={"n": 2, "dev": 0.25, "test": 0.25},
        )
        self.original = dict(self.arena.config)
        self.arena.snakemake()
        self.arena.computed()

    def apply(self, case: Case) -> tuple[dict[str, int], dict[str, int]]:
        """Make the change and run: clips computed by component, jobs by rule. Later stages are only planned."""
        case.change(self)
        printed = self.arena.snakemake(case.target, *(() if case.target == "features" else ("--dry-run",)))
        jobs = {rule: int(n) for rule, n in re.findall(r"^(\w+)\s+(\d+)$", printed, re.MULTILINE)}
        clips = Counter(line.split()[0] for line in self.arena.computed())
        return dict(clips), {rule: n for rule, n in jobs.items() if rule not in ("total", "all", "features")}

    def edit(self, module: str, old: str, new: str) -> None:
        """Replace text in the copy of the package."""
        path = self.code / "pipeline" / "avemo" / module
        text = path.read_text()
        if old not in text:
            raise ValueError(f"{path}: expected {old!r}, found no such text")
        path.write_text(text.replace(old, new, 1))

    def audio(self, **section: Any) -> None:
        """Another section of audio features."""
        self.arena.config["features"] = {"audio": {"extractor": "compare_lld"} | section}


def _touch(run: Run) -> None:
    for path in run.arena.folder.glob("*.wav"):
        os.utime(path)
    os.utime(run.arena.folder / "clips.csv")


def _add(run: Run) -> None:
    write_sound(run.arena.folder / "new.wav", 1000, 0.3)
    run.arena.rows.append("new")
    run.arena.write_table()


def _remove(run: Run) -> None:
    run.arena.rows.remove("new")
    run.arena.write_table()


def _replace(run: Run) -> None:
    write_sound(run.arena.folder / "clip00003.wav", 2000, 0.3)


def _rename_clip(run: Run) -> None:
    run.arena.rows[5] = "other"
    run.arena.write_table({"other": "clip00005.wav"})


def _rename_file(run: Run) -> None:
    (run.arena.folder / "clip00005.wav").rename(run.arena.folder / "other.wav")
    run.arena.write_table()


def _comment(run: Run) -> None:
    run.edit("features/opensmile_lld.py", "\nSTEP_S =", "\n# A remark.\nSTEP_S =")


def _other_file(run: Run) -> None:
    run.edit("features/logmel.py", "import", "FIRST = 1\nimport")


FEATURE = (
    "media/sound.py",
    "mono = kept.mean(axis=0, dtype=np.float32)",
    "mono = 0.5 * kept.mean(axis=0, dtype=np.float32)",
)
TRAINING = ("training/steps.py", "loss.backward()", "(-loss).backward()")


def _edited(module: str, old: str, new: str) -> Callable[[Run], None]:
    return lambda run: run.edit(module, old, new)


def _back(module: str, old: str, new: str) -> Callable[[Run], None]:
    """The edit undone, and the original config."""
    return _alone(lambda run: run.edit(module, new, old))


def _forget(run: Run) -> None:
    """What `make clean` deletes."""
    for memory in (".snakemake", ".avemo"):
        shutil.rmtree(run.arena.folder / memory, ignore_errors=True)


def _rerun(run: Run) -> None:
    run.arena.config = run.original | {"code_changes": "rerun"}


def _then(*changes: Callable[[Run], None]) -> Callable[[Run], None]:
    def apply(run: Run) -> None:
        for change in changes:
            change(run)

    return apply


def _swap(run: Run) -> None:
    """Another medium of the same size under the same time."""
    path = run.arena.folder / "clip00007.wav"
    stat, content = path.stat(), path.read_bytes()
    path.write_bytes(content[:-2] + bytes([content[-2] ^ 1, content[-1]]))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def _version(run: Run) -> None:
    run.edit("features/opensmile_lld.py", "    version = 1\n", "    version = 1_000\n")


def _reformat(run: Run) -> None:
    run.arena.config = dict(reversed(run.arena.config.items()))


def _second_extractor(run: Run) -> None:
    config = {name: value for name, value in run.arena.config.items() if name != "run"}
    config["runs"] = {"first": {}, "second": {"features": {"audio": {"extractor": "egemaps"}}}}
    run.arena.config = {"paper": "two"} | config


def _set(section: str, **fields: Any) -> Callable[[Run], None]:
    def change(run: Run) -> None:
        run.arena.config[section] = run.arena.config[section] | fields

    return change


def _alone(change: Callable[[Run], None]) -> Callable[[Run], None]:
    """The change to the original config, without those of cases before."""

    def apply(run: Run) -> None:
        run.arena.config = dict(run.original)
        change(run)

    return apply


NOTHING: dict[str, int] = {}
PLANNED = [
    Case("nothing", lambda run: None, NOTHING, NOTHING, "all"),
    Case("config reformatted", _reformat, NOTHING, NOTHING, "all"),
    Case("every clip and the table touched without change", _touch, NOTHING, NOTHING, "all"),
    Case("a comment edited in the extractor's file", _comment, NOTHING, NOTHING, "all"),
    Case("the file of another extractor edited", _other_file, NOTHING, NOTHING, "all"),
    Case("the same edits, code_changes: rerun", _rerun, NOTHING, {"run_config": 1, "report": 1}, "all"),
    Case("training turned uphill in the code", _alone(_edited(*TRAINING)), NOTHING, NOTHING, "all"),
    Case(
        "the same, code_changes: rerun",
        _rerun,
        NOTHING,
        {"train": 2, "evaluate": 1, "run_config": 1, **LATER},
        "all",
    ),
    Case(
        "the code changed back, all memory of Snakemake deleted",
        _then(_back(*TRAINING), _forget),
        NOTHING,
        NOTHING,
        "all",
    ),
    Case(
        "all memory of Snakemake deleted, another number of epochs",
        _then(_forget, _alone(_set("training", epochs=2))),
        NOTHING,
        {"train": 2, "evaluate": 1, "run_config": 1, **LATER},
        "all",
    ),
    Case(
        "label rule changed",
        _alone(_set("corpus", labels={"classes": ["b", "a"]})),
        NOTHING,
        {
            "labels": 1,
            "splits": 1,
            "baselines": 1,
            "linear": 1,
            "train": 2,
            "evaluate": 1,
            "run_config": 1,
            **LATER,
        },
        "all",
    ),
    Case(
        "split seed changed",
        _alone(_set("splits", seed=7)),
        NOTHING,
        {"splits": 1, "baselines": 1, "linear": 1, "train": 2, "evaluate": 1, "run_config": 1, **LATER},
        "all",
    ),
    Case(
        "a model's hyper-parameter changed",
        _alone(_set("training", lr=0.01)),
        NOTHING,
        {"train": 2, "evaluate": 1, "run_config": 1, **LATER},
        "all",
    ),
]
RUN = [
    Case("one clip added", _alone(_add), {"compare_lld": 1}),
    Case("one clip removed", _remove, NOTHING),
    Case("one clip's media replaced under the same name", _replace, {"compare_lld": 1}),
    Case("one clip's media replaced under equal size and time", _swap, {"compare_lld": 1}),
    Case("sound decoded half as loud in the code", _edited(*FEATURE), NOTHING),
    Case("the same, code_changes: rerun", _rerun, {"compare_lld": CLIPS}),
    Case("the code changed back, code_changes: warn", _back(*FEATURE), NOTHING),
    Case("a clip renamed", _rename_clip, {"compare_lld": 1}),
    Case("a file renamed", _rename_file, NOTHING),
    Case(
        "the extractor's parameter changed",
        lambda run: run.audio(config={"pitch_window": "all32"}),
        {"compare_lld": CLIPS},
    ),
    Case("the parameter changed back", lambda run: run.audio(), NOTHING),
    Case("compression of the shards changed", lambda run: run.audio(compression="gzip"), NOTHING),
    Case("another extractor added", _second_extractor, {"egemaps": CLIPS}),
    Case("the extractor's declared version raised", _version, {"compare_lld": CLIPS}),
]


def measure(folder: Path) -> Tally:
    """Every case in turn; a table of what ran."""
    tally, run = Tally(), Run(folder)
    tally.table = [["change", "clips computed", "jobs planned"]]
    for case in (*PLANNED, *RUN):
        clips, jobs = run.apply(case)
        tally.expect(clips == case.clips, f"{case.name}: expected {case.clips} computed, found {clips}")
        if case.jobs is not None:
            tally.expect(jobs == case.jobs, f"{case.name}: expected jobs {case.jobs}, found {jobs}")
        counted = ", ".join(f"{n} {name}" for name, n in clips.items()) or "0"
        listed = ", ".join(f"{n} {rule}" for rule, n in sorted(jobs.items())) or "none"
        tally.table.append([case.name, counted, listed])
        tally["cases"] += 1
    return tally
