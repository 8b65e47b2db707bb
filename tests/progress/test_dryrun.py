"""Snakemake's own dry run and records, read through a workflow of one rule."""

import subprocess
import sys

import pytest

from avemo.base.contracts import AvemoError
from avemo.progress.dryrun import dry_run

SNAKEFILE = """
import json
from avemo.progress.journal import watch
watch(workflow)
rule train:
    output: "out/{{system}}.txt"
    params: cfg=json.dumps({cfg})
    resources: gpu=1
    shell: "echo --cfg {{params.cfg:q}} > {{output}}"
"""


def test_a_changed_setting_is_named_with_both_values(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    snakefile = tmp_path / "Snakefile"
    before = {"version": 1, "training": {"lr": 0.1, "betas": [0.9, 0.99]}}
    snakefile.write_text(SNAKEFILE.format(cfg=before))
    arguments = ["out/mult.txt", "--snakefile", str(snakefile), "--cores", "1"]
    (job,) = dry_run(arguments)
    assert (job.rule, job.wildcards, job.resources["gpu"]) == ("train", {"system": "mult"}, 1)
    assert job.why == ["not made yet"]

    run_for_real(arguments)
    assert dry_run(arguments) == []

    snakefile.write_text(SNAKEFILE.format(cfg=before | {"training": {"lr": 0.2, "betas": [0.9, 0.99]}}))
    (job,) = dry_run(arguments)
    assert job.why == ["training.lr: 0.1 → 0.2"]
    (job,) = dry_run([*arguments, "--force"])
    assert job.why == ["asked for by force"]

    (tmp_path / "out" / "mult.txt").unlink()
    snakefile.write_text(SNAKEFILE.format(cfg=before))
    (job,) = dry_run(arguments)
    assert job.why == ["its output was deleted"]


def run_for_real(arguments):
    subprocess.run([sys.executable, "-m", "snakemake", *arguments], check=True, capture_output=True)


def test_what_snakemake_refuses_is_told_in_its_words(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    snakefile = tmp_path / "Snakefile"
    snakefile.write_text(
        "rule a:\n    input: 'nowhere.txt'\n    output: 'b.txt'\n    shell: 'touch {output}'\n"
    )
    with pytest.raises(AvemoError, match=r"nowhere\.txt"):
        dry_run(["b.txt", "--snakefile", str(snakefile), "--cores", "1"])
