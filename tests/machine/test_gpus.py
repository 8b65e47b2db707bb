"""Pretended GPUs, shared by real processes: no device over its budget, whatever dies."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
import yaml

from avemo.base.contracts import AvemoError, MachineError
from avemo.machine.gpus import DEVICES, leased, shared_devices, use_gpu
from avemo.progress.dryrun import dry_run

BUDGETS = {"0": 100, "1": 60}
JOB = f"""
import json, sys, time
from pathlib import Path
from avemo.machine.gpus import leased
from avemo.progress.dryrun import dry_run
pool, name, megabytes, seconds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
with leased(megabytes, {BUDGETS}, pool, poll_s=0.02) as device:
    begin = time.monotonic()
    print(device, flush=True)
    time.sleep(seconds)
    Path(pool.parent / (name + ".json")).write_text(json.dumps([device, megabytes, begin, time.monotonic()]))
"""


def start(pool, name, megabytes, seconds) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", JOB, str(pool), name, str(megabytes), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def most_at_once(held: list[tuple[str, int, float, float]]) -> dict[str, int]:
    """The most megabytes that were ever held of each device together."""
    most = dict.fromkeys({device for device, *_ in held}, 0)
    for device, _, begin, _ in held:
        together = sum(size for other, size, b, e in held if other == device and b <= begin < e)
        most[device] = max(most[device], together)
    return most


def test_no_device_is_over_its_budget_and_all_are_used(tmp_path):
    sizes = [40, 30, 60, 50, 40, 30]
    jobs = [start(tmp_path / "pool", f"job{n}", size, 0.3) for n, size in enumerate(sizes)]
    assert [job.wait(timeout=60) for job in jobs] == [0] * len(jobs)
    held = [tuple(json.loads(path.read_text())) for path in tmp_path.glob("*.json")]
    assert len(held) == len(sizes)
    most = most_at_once(held)
    assert most.keys() == BUDGETS.keys()
    assert all(most[device] <= BUDGETS[device] for device in BUDGETS)
    assert max(most.values()) > max(sizes), "no two jobs have shared a device"


def test_a_killed_job_gives_its_share_back(tmp_path):
    pool = tmp_path / "pool"
    holder = start(pool, "holder", 90, 60)
    assert holder.stdout is not None
    assert holder.stdout.readline().strip() == "0"
    waiter = start(pool, "waiter", 90, 0)
    time.sleep(0.5)
    assert waiter.poll() is None
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert waiter.communicate(timeout=30)[0].strip() == "0"
    assert waiter.returncode == 0
    assert not [path for path in pool.rglob("*") if path.is_file() and path.name != "lock"]


def test_a_job_that_wants_more_than_any_device_has_gets_one_whole(tmp_path):
    with leased(1000, BUDGETS, tmp_path) as device:
        assert device == "0"
        assert [path.read_text() for path in (tmp_path / "0").iterdir()] == ["100"]
        with leased(60, BUDGETS, tmp_path) as other:
            assert other == "1"


@pytest.mark.parametrize(
    ("megabytes", "device", "slurm"),
    [(0, "auto", None), (10, "cpu", None), (10, "cuda:1", None), (10, "auto", "7")],
)
def test_no_device_is_held_where_none_is_shared(monkeypatch, megabytes, device, slurm):
    monkeypatch.setenv(DEVICES, "0:100")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if slurm:
        monkeypatch.setenv("SLURM_JOB_ID", slurm)
    use_gpu(megabytes, device)
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


@pytest.mark.parametrize(("given", "found"), [("0:80,1:40", {"0": 80, "1": 40}), ("", {})])
def test_devices_can_be_listed(monkeypatch, given, found):
    monkeypatch.setenv(DEVICES, given)
    assert shared_devices() == found


def test_a_bad_list_is_refused(monkeypatch):
    monkeypatch.setenv(DEVICES, "two")
    with pytest.raises(AvemoError, match="expected devices and megabytes"):
        shared_devices()


def test_devices_are_those_that_nvidia_smi_lists_and_the_job_may_see(monkeypatch, tmp_path):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nprintf '0, GPU-a, 1000\\n1, GPU-b, 2000\\n'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv(DEVICES, raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert shared_devices() == {"0": 950, "1": 1900}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-b")
    assert shared_devices() == {"1": 1900}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert shared_devices() == {}


def test_a_device_whose_memory_is_not_told_is_left_out_and_named(monkeypatch, tmp_path, capsys):
    program = tmp_path / "nvidia-smi"
    program.write_text(
        "#!/bin/sh\nprintf '0, GPU-a, [N/A]\\n1, GPU-b, 2000\\n2, GPU-c, [Not Supported]\\n'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv(DEVICES, raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert shared_devices() == {"1": 1900}
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("GPU 0: expected its memory in MB from nvidia-smi, found '[N/A]'")
    assert first.endswith("AVEMO_GPUS=0:80000")
    assert second.startswith("GPU 2: ")


def test_a_held_devices_number_is_nvidia_smis_and_not_the_one_by_speed(monkeypatch, tmp_path):
    monkeypatch.setenv(DEVICES, "0:100,1:200")
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "FASTEST_FIRST")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    use_gpu(10)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"
    assert os.environ["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"


SNAKEFILE = """
rule all:
    input: expand("{name}.json", name=["train0", "train1", "train2", "cpu0"])
rule train:
    output: "train{n}.json"
    resources: gpu=1, gpu_mb=16000
    shell: "{PYTHON} job.py {resources.gpu_mb} {output}"
rule cpu:
    output: "cpu{n}.json"
    shell: "{PYTHON} job.py 0 {output}"
"""
LOGGED = """
import json, os, sys, time
from avemo.machine.gpus import use_gpu
from avemo.progress.dryrun import dry_run
use_gpu(int(sys.argv[1]))
begin = time.monotonic()
time.sleep(2)
device = os.environ.get("CUDA_VISIBLE_DEVICES", "none")
json.dump([device, int(sys.argv[1]), begin, time.monotonic()], open(sys.argv[2], "w"))
"""


def test_the_profile_lets_trainings_share_a_device_and_cpu_rules_run_beside_them(repository, tmp_path):
    """Two of three trainings fit on the one pretended device; the third waits for neither more nor less."""
    (tmp_path / "Snakefile").write_text(f"PYTHON = {sys.executable!r}\n{SNAKEFILE}")
    (tmp_path / "job.py").write_text(LOGGED)
    profile = yaml.safe_load((repository / "profiles/gpu/profile.yaml").read_text())
    assert profile["resources"].keys() == {"gpu_mb", "mem_mb"}
    profile["resources"]["gpu_mb"] = 40000
    profile["cores"] = 4
    (tmp_path / "profile").mkdir()
    (tmp_path / "profile/profile.yaml").write_text(yaml.safe_dump(profile))
    environment = os.environ | {
        DEVICES: "0:40000",
        "PYTHONPATH": str(repository / "pipeline"),
        "TMPDIR": str(tmp_path),
    }
    environment.pop("CUDA_VISIBLE_DEVICES", None)
    command = [sys.executable, "-m", "snakemake", "--profile", "profile"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    trainings = [tuple(json.loads(path.read_text())) for path in tmp_path.glob("train*.json")]
    assert most_at_once(trainings) == {"0": 32000}
    device, _, begin, end = json.loads((tmp_path / "cpu0.json").read_text())
    assert device == "none"
    assert any(b < end and begin < e for _, _, b, e in trainings)


def test_each_rule_that_holds_a_gpu_declares_how_much_and_its_command_asks_for_it(
    repository, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    where = (
        "--snakefile",
        str(repository / "Snakefile"),
        "--configfile",
        str(repository / "config/config.yaml"),
    )
    jobs = dry_run([*where, "--cores", "1"])
    on_gpu = {job.rule for job in jobs if job.resources.get("gpu")}
    assert on_gpu == {"faces", "visual_features", "train", "evaluate"}
    for job in jobs:
        asked = re.search(r"--gpu-mb (\d+)", job.command)
        assert bool(job.resources.get("gpu")) == bool(asked and int(asked[1]))
        assert not asked or int(asked[1]) == job.resources["gpu_mb"]


def link(pool, target):
    pool.symlink_to(target)


def folder_of_another(pool, target):
    pool.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    os.chown(pool, 41001, 41001)


def open_folder(pool, target):
    pool.mkdir()
    pool.chmod(0o777)


def file_in_its_place(pool, target):
    pool.write_text("")


@pytest.mark.parametrize("attack", [link, folder_of_another, open_folder, file_in_its_place])
@pytest.mark.parametrize("inner", ["", "0"])
def test_a_pool_that_is_not_this_users_alone_is_refused_and_nothing_is_cut_or_deleted(
    tmp_path, attack, inner
):
    target = tmp_path / "precious"
    (target / "0").mkdir(parents=True)
    for path in (target / "lock", target / "thesis", target / "0" / "data"):
        path.write_text("precious")
    pool = tmp_path / "pool"
    if inner:
        pool.mkdir(0o700)
    attack(pool / inner, target)
    expected = r"(pool|0): expected a folder of user \d+ alone for the leases of GPUs, found"
    with pytest.raises(MachineError, match=expected), leased(10, {"0": 100}, pool, poll_s=0.02):
        pass
    assert [path.read_text() for path in sorted(target.rglob("*")) if path.is_file()] == ["precious"] * 3


@pytest.mark.parametrize("name", ["lock", "0/1-1"])
def test_no_link_in_a_pool_is_followed(tmp_path, name):
    (tmp_path / "precious").write_text("5")
    place = tmp_path / "pool" / name
    place.parent.mkdir(0o700, parents=True)
    (tmp_path / "pool").chmod(0o700)
    place.symlink_to(tmp_path / "precious")
    with (
        pytest.raises(OSError, match="symbolic links"),
        leased(10, {"0": 100}, tmp_path / "pool", poll_s=0.02),
    ):
        pass
    assert (tmp_path / "precious").read_text() == "5"
