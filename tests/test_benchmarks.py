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
    "Table 1, hours of epochs in one process": {"float32": 3.0, "bfloat16": 1.5},
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


def in_the_kit(repository: Path, code: str, *folders: Path) -> list:
    """What a program beside the kit prints last, as JSON."""
    path = os.pathsep.join(map(str, [repository, repository / "pipeline", *folders]))
    environment = os.environ | {"PYTHONPATH": path}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_part_that_fails_or_takes_too_long_costs_no_other(repository, tmp_path):
    code = f"""
import json, time
from pathlib import Path
from benchmarks.gpu.__main__ import Stage, run
from benchmarks.gpu.kit import Kit

class Broken(Kit):
    def free(self):
        raise RuntimeError("the GPU refuses all")

def parts(kit):
    for name in "abc":
        with kit.trying(name):
            if name == "b":
                raise ValueError("b's own")
            kit.keep(name, {{"done": 1}})

def long(kit):
    for number in range(100):
        kit.keep("long", {{"number": number}})
        time.sleep(0.05)

def broken(kit):
    raise RuntimeError("a kernel's fault")

kit = Broken("cpu", Path({str(tmp_path)!r}))
stages = Stage("parts", 1, parts), Stage("broken", 1, broken), Stage("long", 0.2, long), Stage("last", 1, parts)
run(list(stages), kit, 60)
print(json.dumps(json.loads((kit.out / "gpu.json").read_text())))
"""
    found = in_the_kit(repository, code)
    assert found["a"] == found["c"] == {"done": 1}
    assert "cut short" in found["stages"]["long"]
    assert 0 < found["long"]["number"] < 30
    assert "cut short" not in found["stages"]["last"]
    told = [(check["what"], check["detail"]) for check in found["checks"]]
    assert told == [
        *(("b ends", "ValueError: b's own"), ("stage broken ends", "RuntimeError: a kernel's fault")),
        ("b ends", "ValueError: b's own"),
    ]


def test_a_process_that_fails_or_dies_is_not_waited_for(repository, tmp_path):
    (tmp_path / "stand_in.py").write_text("""
import os, signal

def work(number, gate):
    if number == 1:
        raise ValueError("no memory left")
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    gate.wait()
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number
""")
    code = """
import json, time
from benchmarks.gpu.processes import at_once
from stand_in import work

def told(*numbers):
    try:
        return sorted(at_once(work, [(number,) for number in numbers])[0])
    except RuntimeError as error:
        return str(error)

begin = time.monotonic()
found = [told(4, 5), told(4, 1), told(4, 2), told(4, 3)]
print(json.dumps([found, time.monotonic() - begin]))
"""
    found, seconds = in_the_kit(repository, code, tmp_path)
    assert found == [
        *([4, 5], "a process: ValueError: no memory left"),
        *("a process died, exit code -9", "a process died, exit code -9"),
    ]
    assert seconds < 60


def test_networks_are_opened_as_on_a_gpu_and_size_is_seen_behind_filling(repository, tmp_path):
    code = f"""
import json
import numpy as np
from pathlib import Path
from types import SimpleNamespace
from benchmarks.gpu.agreement import networks, opened, placed
from benchmarks.gpu.kit import Kit

kit = Kit("cpu", Path({str(tmp_path)!r}))
large = ("vgg_face_fc6", "vgg_face_affectnet", "wav2vec2")
dims = {{name: opened(kit, name, "cpu").dim for name in networks(kit) if name not in large}}

def forward(images):
    size = min(64, 1 << (len(images) - 1).bit_length())
    return images.reshape(len(images), -1).sum(1, dtype=np.float64)[:, None] + size

shown = np.ones((4, 2, 2, 3), np.uint8)
print(json.dumps([dims, placed(kit, SimpleNamespace(_forward=forward), shown)]))
"""
    dims, bits = in_the_kit(repository, code)
    assert {"timm_image", "hf_image", "hf_audio", "efficientnet_b2"} <= dims.keys()
    assert bits == {
        "bits by neighbour": False,
        "bits by place": False,
        "bits by size": True,
        "clips share batches": True,
    }


def test_a_bar_is_not_met_by_a_part_of_it(repository):
    code = """
import json
from benchmarks.gpu.page import bars
from benchmarks.gpu.training import table_hours
rows = [{"precision": name, "Table 1, h": 0.3} for name in ("float32", "float32", "tf32")]
small = {"ceilings": {"device": "H200", "tiny": True}, "extraction": [{"CREMA-D, min": 0.1}]}
print(json.dumps([table_hours(rows, 2), [row["which is"] for row in bars(small)]]))
"""
    hours, known = in_the_kit(repository, code)
    assert hours == {"float32": 0.6}
    assert known == ["estimated"] * 4
