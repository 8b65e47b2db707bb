"""What a real Snakemake's journal holds, and what is made of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from avemo.progress.journal import MOST_FILES, STALE_S, unfinished_jobs

SNAKEFILE = """
from avemo.progress.journal import watch
watch(workflow)
rule all:
    input: "good.txt", "slow.txt"
rule good:
    output: "good.txt"
    log: "logs/good.log"
    shell: "touch {output} > {log}"
rule slow:
    output: "slow.txt", "also.txt"
    log: "logs/slow.log"
    shell: "echo began > {log}; test -f stop && exit 1; sleep 60 & wait; touch {output}"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    return tmp_path


def snakemake(*arguments):
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def events(folder):
    (path,) = (folder / ".avemo/events").glob("*.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_dry_run_leaves_no_journal(folder):
    assert snakemake("--dry-run").wait() == 0
    assert not (folder / ".avemo").exists()


def test_a_job_runs_until_snakemake_is_interrupted_and_has_not_failed(folder):
    process = snakemake("--quiet", "all")
    until = time.monotonic() + 60
    while "slow.txt" not in unfinished_jobs() and time.monotonic() < until:
        time.sleep(0.1)
    while not (found := unfinished_jobs()["slow.txt"]).is_running and time.monotonic() < until:
        time.sleep(0.1)
    assert found.is_running
    assert found.output == ("slow.txt", "also.txt")
    assert unfinished_jobs()["also.txt"] == found
    os.killpg(process.pid, signal.SIGINT)
    process.wait()
    assert unfinished_jobs() == {}
    begun = {event["rule"]: event for event in events(folder) if event["event"] == "started"}
    assert begun["good"]["reason"] == "Missing output files: good.txt"
    assert events(folder)[-1]["event"] == "ended"


def test_a_failed_job_counts_until_snakemake_runs_again(folder):
    (folder / "stop").touch()
    assert snakemake("--keep-going").wait() == 1
    found = unfinished_jobs()["slow.txt"]
    assert found.failed
    assert found.log == ("logs/slow.log",)
    assert "good.txt" not in unfinished_jobs()
    assert snakemake("good.txt", "--force").wait() == 0
    assert unfinished_jobs() == {}


FORGETFUL = """
from avemo.progress.journal import watch
journal = watch(workflow)
rule all:
    input: "late.txt", "long.txt", lambda w: checkpoints.table.get().output[0]
checkpoint table:
    output: "table.txt"
    shell: "sleep 3; touch {output}"
rule shard:
    output: "shard.txt"
    shell: "sleep 1; if [ -e tried ]; then touch {output}; else touch tried; exit 1; fi"
rule late:
    input: "shard.txt"
    output: "late.txt"
    shell: "touch {output}"
# Takes the place of the failed job's next try until the checkpoint has ended.
rule short:
    output: "short.txt"
    shell: "touch {output}"
rule long:
    input: "short.txt"
    output: "long.txt"
    threads: 2
    priority: 1
    shell: "until [ -e table.txt ]; do sleep 0.1; done; sleep 1; touch {output}"
onsuccess:
    journal.require_none_forgotten()
"""


def test_a_job_that_snakemake_forgets_to_try_again_is_an_error(folder):
    (folder / "Snakefile").write_text(FORGETFUL)
    command = [sys.executable, "-m", "snakemake", "--cores", "3", "--retries", "2", "--keep-going"]
    first = subprocess.run(command, capture_output=True, text=True)
    assert not (folder / "late.txt").exists()
    assert first.returncode == 1
    assert "expected shard.txt, found a failed try that Snakemake has not made again" in first.stderr
    assert subprocess.run(command, capture_output=True).returncode == 0
    assert (folder / "late.txt").exists()


def written(folder, name, *lines, age_s=0.0):
    path = folder / ".avemo/events" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(json.dumps({"at_s": 0, "job": 1} | line) for line in lines))
    os.utime(path, (time.time() - age_s,) * 2)


STARTED = {"event": "started", "output": ["a"], "log": ["a.log"]}


def test_jobs_of_a_snakemake_that_was_killed_run_no_more(folder):
    written(folder, "1.jsonl", STARTED)
    assert "a" in unfinished_jobs()
    written(folder, "1.jsonl", STARTED, age_s=STALE_S + 1)
    assert unfinished_jobs() == {}


def test_two_snakemakes_at_once_are_both_shown(folder):
    written(folder, "1.jsonl", STARTED)
    written(folder, "2.jsonl", STARTED | {"output": ["b"]}, {"event": "failed"})
    assert {output: job.failed for output, job in unfinished_jobs().items()} == {"a": False, "b": True}


def test_a_job_waits_in_its_queue_until_it_writes_to_its_log(folder):
    begin_s = time.time()
    written(folder, "1.jsonl", STARTED | {"at_s": begin_s})
    (folder / "a.log").touch()
    os.utime(folder / "a.log", (begin_s - 100,) * 2)
    assert not unfinished_jobs()["a"].is_running
    os.utime(folder / "a.log")
    assert unfinished_jobs()["a"].is_running


def test_a_line_cut_short_is_left_out_and_old_journals_go(folder):
    for number in range(MOST_FILES + 5):
        written(folder, f"0-{number:02d}.jsonl", STARTED, age_s=STALE_S + 1)
    with (folder / ".avemo/events/0-24.jsonl").open("a") as file:
        file.write('\n{"event": "sta')
    os.utime(folder / ".avemo/events/0-24.jsonl")
    assert unfinished_jobs().keys() == {"a"}
    assert snakemake("good.txt").wait() == 0
    assert len(list((folder / ".avemo/events").iterdir())) == MOST_FILES + 1
