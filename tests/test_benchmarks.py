"""Benchmarks publish wherever they run, and the GPU kit goes through on a CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PUBLISH = """
import importlib.metadata as installed, sys
from pathlib import Path
whole = installed.version
def version(name):
    if name == "snakemake":
        raise installed.PackageNotFoundError(name)
    return whole(name)
installed.version = version
from benchmarks import results
results.RESULTS = Path(sys.argv[1])
results.publish("speed", "against nothing", [{"way": "ours", "seconds": 1.0}])
"""


def test_results_are_published_without_packages_that_the_measured_work_does_not_need(repository, tmp_path):
    command = [sys.executable, "-c", PUBLISH, str(tmp_path / "page.json")]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    versions = json.loads((tmp_path / "page.json").read_text())["speed"]["machine"]["versions"]
    assert "torch 2." in versions
    assert "snakemake" not in versions
    assert "| ours | 1 |" in (tmp_path / "page.md").read_text()


STAGES = {
    *("ceilings", "extractors", "systems", "training", "extraction", "throughput", "feeding"),
    *("several processes", "compiled"),
}


def gpu_kit(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.gpu", "--device", "cpu", "--tiny", *arguments]
    environment = os.environ | {"PYTHONPATH": f"{repository}{os.pathsep}{repository / 'pipeline'}"}
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, env=environment)


@pytest.mark.slow
def test_every_stage_of_the_gpu_kit_runs_without_a_gpu(repository, tmp_path):
    clips = ["--clips", str(tmp_path / "clips")]
    done = gpu_kit(repository, "--out", str(tmp_path), "--budget", "1e6", *clips)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert {*found, *found["stages"]} >= STAGES
    assert set(found["stages"]) == STAGES
    assert not [told for told in found["stages"].values() if "skipped" in told]
    names = {row["system"] for row in found["systems"]}
    assert {"av_ladder", "auxformer", "vavl", "colearning", "uavm"} <= names
    assert {row["system"] for row in found["training"]} >= {"av_ladder", "mult", "ablation_1"}
    assert all(check["ok"] for check in found["checks"])
    page = (tmp_path / "gpu.md").read_text()
    assert page.count("| estimated | open |") == 4, "what a CPU took says nothing of the bars"
    assert {row["threads in each"] for row in found["extraction"]} == {1, 2}
    assert all("clips share batches" in row for row in found["extractors"] if "bits by place" in row)
    assert {row["system"]: row["compiled"] for row in found["compiled"]} == dict.fromkeys(
        ("mult", "av_ladder", "auxformer"), True
    )


def test_a_stage_that_time_does_not_allow_is_skipped_and_said_so(repository, tmp_path):
    clips = ["--clips", str(tmp_path / "clips")]
    done = gpu_kit(repository, "--out", str(tmp_path), "--budget", "0", *clips)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert set(found["stages"]) == STAGES
    assert all(told.startswith("skipped: may take") for told in found["stages"].values())
    assert "skipped: may take 90 s, 0 s were left" in (tmp_path / "gpu.md").read_text()


def test_the_page_is_made_of_what_was_measured(repository):
    code = """
import json
import os
from pathlib import Path
from benchmarks.gpu.page import page
kept = Path("docs/gpu.json")
print(page(json.loads(kept.read_text()) if kept.is_file() else {}), end="")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True)
    assert done.stdout == (repository / "docs/gpu.md").read_text(), done.stderr
    if not (repository / "docs/gpu.json").is_file():
        assert "**Not measured.**" in done.stdout


def test_each_bar_is_measured_or_estimated(repository):
    code = """
import json
from benchmarks.gpu.page import bars
measured = {
    "ceilings": {"device": "H200"},
    "extraction": [{"CREMA-D, min": 6.0, "network of vgg_face_fc6, share": 0.25}, {"CREMA-D, min": 9.0}],
    "Table 1, hours of steps in one process": {"float32": 3.0, "bfloat16": 1.5},
}
print(json.dumps([bars({}), bars(measured)]))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True)
    before, after = json.loads(done.stdout)
    assert [(row["which is"], row["met"]) for row in before] == [("estimated", "open")] * 4
    assert [(row["now"], row["which is"], row["met"]) for row in after[:3]] == [
        *((4.5, "measured", "yes"), (6.0, "measured", "yes"), (1.5, "measured", "no")),
    ]
    assert (after[3]["which is"], after[3]["met"]) == ("estimated", "open")


def test_what_the_pack_takes_along_is_in_the_lock(repository):
    code = "from benchmarks.gpu import pack; print(*pack.pinned(pack.LOCK.read_text(), pack.NAMES))"
    environment = os.environ | {"PYTHONPATH": f"{repository}{os.pathsep}{repository / 'pipeline'}"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert {"av", "opensmile", "facenet-pytorch"} <= {each.split("==")[0] for each in done.stdout.split()}
