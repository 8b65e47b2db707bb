"""Every file that a rule opens makes that rule run again when it changes: seen by the system's own trace of openings."""

from __future__ import annotations

import os
import re
import shutil
import stat
from itertools import zip_longest
from pathlib import Path

import pandas as pd
import pytest

from avemo.progress.dryrun import dry_run
from workflow_runner import Workflow

RULES = {
    "corpus index": "index",
    "corpus labels": "labels",
    "splits --cfg": "splits",
    "extract --cfg": "audio_features",
}
"""By the words that begin the command of each rule that reads a corpus."""
TRACED = """#!/bin/sh
name=$(printf '%s %s' "$1" "$2")
exec strace -f --seccomp-bpf -qq -e trace=open,openat -o "{folder}/$name.$$" "{avemo}" "$@"
"""
VOTES = "data/crema_d/processedResults/tabulatedVotes.csv"


def study() -> dict:
    part = "data/crema_d/partitions/label_consensus_{}.csv"
    attributes = "data/msp_improv/partitions/labels_consensus_1.csv"
    corpora = {
        "votes": {"name": "crema_d", "config": {"root": "data/crema_d"}},
        "majority": {
            "name": "crema_d",
            "config": {"root": "data/crema_d"},
            "labels": {"rule": "published", "table": part.format(1)},
        },
        "consensus": {"name": "msp_improv", "config": {"root": "data/msp_improv"}},
        "attributes": {
            "name": "msp_improv",
            "config": {"root": "data/msp_improv"},
            "labels": {"rule": "attributes", "table": attributes},
        },
        "bits": {"name": "cmu_mosei", "config": {"root": "data/cmu_mosei"}},
        "mine": {"name": "table", "config": {"csv": "data/mine.csv"}},
    }
    splits = {
        "majority": {"protocol": "published", "files": [part.format(1), part.format(2)]},
        "consensus": {"protocol": "dyads", "n": 2},
        "attributes": {"protocol": "dyads", "n": 2},
        "bits": {"protocol": "published", "files": ["data/cmu_mosei/cmu_mosei_std_folds.py"]},
    }
    random = {"n": 1, "dev": 0.34, "test": 0.34}
    return {
        "paper": "opened",
        "features": {"audio": {"extractor": "logmel"}},
        "systems": {"mult": {"model": "mult", "config": {"width": 8, "heads": 2, "layers": 1}}},
        "runs": {
            name: {"corpus": corpus | {"shards": 1}, "splits": splits.get(name, random)}
            for name, corpus in corpora.items()
        },
    }


@pytest.fixture(scope="module")
def traced(repository, miniatures, tmp_path_factory) -> Workflow:
    """A study of every corpus up to its splits and features, each command traced into ``trace``."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: apt install strace")
    workflow = Workflow(repository, tmp_path_factory.mktemp("opened"))
    data, trace = workflow.folder / "data", workflow.folder / "trace"
    for name in ("crema_d", "msp_improv", "cmu_mosei"):
        shutil.copytree(miniatures[name], data / name)
    write_own_table(data)
    trace.mkdir()
    wrapper = workflow.folder / "bin" / "avemo"
    wrapper.parent.mkdir()
    avemo = shutil.which("avemo", path=workflow.environment["PATH"])
    wrapper.write_text(TRACED.format(folder=trace, avemo=avemo))
    wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
    untraced = workflow.environment
    workflow.environment = untraced | {"PATH": f"{wrapper.parent}:{untraced['PATH']}"}
    workflow.snakemake(study(), *wanted())
    workflow.environment = untraced
    return workflow


def write_own_table(data: Path) -> None:
    """Six of CREMA-D's clips as anybody's table."""
    sounds = sorted((data / "crema_d" / "AudioWAV").glob("*.wav"))[::3]
    rows = [f"c{n},{path.relative_to(data)},{path.name[:4]},{'ab'[n % 2]}" for n, path in enumerate(sounds)]
    (data / "mine.csv").write_text("\n".join(["clip_id,path,speaker,label", *rows]) + "\n")


def wanted() -> list[str]:
    return ["features", *(f"results/opened/{run}/data/splits.json" for run in study()["runs"])]


def opened(traced: Workflow) -> dict[Path, set[str]]:
    """For each file of the corpora that some command opened, the rules of those commands."""
    found: dict[Path, set[str]] = {}
    for trace in (traced.folder / "trace").iterdir():
        rule = RULES.get(trace.name.rsplit(".", 1)[0])
        if rule is None:
            continue
        for name, flags, code in re.findall(
            r'open(?:at)?\([^"]*"([^"]+)", (\S+?)[,)].* = (-?\d+)', trace.read_text()
        ):
            path = traced.folder / name
            inside = path.is_relative_to(traced.folder / "data") and not path.is_dir()
            if inside and int(code) >= 0 and "O_WRONLY" not in flags:
                found.setdefault(path, set()).add(rule)
    return found


def rounds(found: dict[Path, set[str]], data: Path) -> list[list[Path]]:
    """One file of each ending and set of rules, hundreds of clips being opened alike; a round has one a corpus."""
    by_corpus: dict[str, dict[tuple[str, ...], Path]] = {}
    for path, rules in sorted(found.items()):
        kinds = by_corpus.setdefault(corpus_of(path, data), {})
        kinds.setdefault((path.suffix, *sorted(rules)), path)
    return [[path for path in row if path] for row in zip_longest(*(k.values() for k in by_corpus.values()))]


def corpus_of(path: Path, data: Path) -> str:
    return path.relative_to(data).parts[0].removesuffix(".csv")


def planned(traced: Workflow) -> set[tuple[str, str]]:
    """Rules that a dry run announces, with the corpus' folder or table."""
    places = ("--snakefile", traced.repository / "Snakefile", "--directory", traced.folder)
    jobs = dry_run([*wanted(), *map(str, places), "--configfile", str(traced.folder / "config.yaml")])
    corpora = {name: run["corpus"]["name"] for name, run in study()["runs"].items()}
    of_jobs = [(job.rule, job.wildcards.get("corpus") or job.wildcards.get("run", "")) for job in jobs]
    return {(rule, corpora.get(name, name).replace("table", "mine")) for rule, name in of_jobs}


def test_a_change_of_any_file_that_a_rule_opens_runs_that_rule_again(traced):
    found, data = opened(traced), traced.folder / "data"
    assert {rule for rules in found.values() for rule in rules} == set(RULES.values())
    assert {path.suffix for path in found} >= {".csv", ".txt", ".csd", ".py", ".wav"}
    stale = []
    for paths in rounds(found, data):
        before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}
        for path, (content, mtime_ns) in before.items():
            path.write_bytes(content + b"\n")
            # As from a backup: the new bytes are older than what was made of the old ones.
            os.utime(path, ns=(mtime_ns, mtime_ns - 10**9))
        again = planned(traced)
        for path, (content, mtime_ns) in before.items():
            missed = [rule for rule in sorted(found[path]) if (rule, corpus_of(path, data)) not in again]
            stale += [f"{path}: {rule}" for rule in missed]
            path.write_bytes(content)
            os.utime(path, ns=(mtime_ns, mtime_ns))
    assert not stale
    assert planned(traced) == set()


def test_a_corrected_label_is_taken_over(traced):
    table = traced.folder / "data" / "mine.csv"
    before = table.read_text()
    table.write_text(before.replace(",a\n", ",c\n", 1))
    traced.snakemake(study(), *wanted())
    made = pd.read_parquet(traced.folder / "results/opened/mine/data/labels.parquet")
    assert list(made.label) == [line.split(",")[3] for line in table.read_text().splitlines()[1:]]
    assert planned(traced) == set()


def test_other_votes_are_other_labels(traced):
    path = traced.folder / VOTES
    votes = pd.read_csv(path, dtype=str)
    votes[list("DFHNS")], votes["A"] = "0", "9"
    votes.rename(columns={"Unnamed: 0": ""}).to_csv(path, index=False)
    traced.snakemake(study(), *wanted())
    made = pd.read_parquet(traced.folder / "results/opened/votes/data/labels.parquet")
    assert set(made.label) == {"anger"}
    assert planned(traced) == set()
