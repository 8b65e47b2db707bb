"""Is this machine, or this cluster, fit to run the workflow? Each check says what it found and what to do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.specifiers import SpecifierSet

from avemo.base.contracts import AvemoError
from avemo.base.project import PROJECT

LOCK_SENSITIVE = ("torch", "torchaudio", "transformers", "timm", "opensmile", "facenet-pytorch", "snakemake")
NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "lustre", "beegfs", "gpfs", "cifs", "fuse.sshfs"}
ROOM_BYTES = 20 * 10**9
MEMORY_BYTES = 8 * 10**9


@dataclass(frozen=True)
class Check:
    """``ok`` None: worth knowing, neither good nor bad. ``remedy`` is empty unless ``ok`` is False."""

    name: str
    ok: bool | None
    found: str
    remedy: str = ""


def machine(folder: Path) -> Iterator[Check]:
    """This machine: Python, packages, cores, memory, GPU, and room and locks where ``folder`` lies."""
    version = ".".join(map(str, sys.version_info[:3]))
    served = metadata.metadata("avemo")["Requires-Python"]
    remedy = f"install a Python {served} and run `make clean test`"
    yield Check("Python", SpecifierSet(served).contains(version), version, remedy)
    yield _packages()
    cores = len(os.sched_getaffinity(0))
    yield Check("cores", None, str(cores))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    yield Check("memory", memory >= MEMORY_BYTES, f"{memory / 1e9:.0f} GB", "give jobs at least 8 GB")
    yield _gpu()
    yield _room(folder)
    yield _file_system(folder)


def slurm(partitions: dict[str, str], folder: Path, visible: bool = True) -> Iterator[Check]:
    """A Slurm cluster: its commands, the profile's ``partitions`` (name to GPU model or ""), accounting.

    With ``visible`` a short job on each partition looks for a file in ``folder``.
    """
    missing = [name for name in ("sbatch", "squeue", "scontrol", "scancel") if not shutil.which(name)]
    yield Check(
        "Slurm's commands",
        not missing,
        f"no {', '.join(missing)}" if missing else _said("sbatch", "--version"),
        "log in to a node from which jobs are submitted",
    )
    if missing:
        return
    yield _accounting()
    for name, gpu in partitions.items():
        yield _partition(name, gpu)
        if visible:
            yield _sees(name, folder)


def profile_partitions(profile: dict) -> dict[str, str]:
    """Partitions that a Slurm profile names, with the GPU model asked for there.

    Raises `AvemoError` for a profile without a partition.
    """
    default = profile.get("default-resources", {}).get("slurm_partition")
    if not default:
        raise AvemoError(
            "profile: expected default-resources.slurm_partition, found none; fill in a partition"
        )
    found = {str(default): ""}
    for resources in profile.get("set-resources", {}).values():
        if "slurm_partition" in resources:
            found[str(resources["slurm_partition"])] = str(resources.get("gpu_model", ""))
    return found


def _packages() -> Check:
    lock = PROJECT / "envs" / "requirements.lock"
    if not lock.is_file():
        return Check("packages", None, "no lock beside the package to compare with")
    wanted = dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^ \\]+)", lock.read_text(), re.MULTILINE))
    other = []
    for name in LOCK_SENSITIVE:
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            found = "none"
        if found.split("+")[0] != wanted.get(name):
            other.append(f"{name} {found} (lock: {wanted.get(name)})")
    return Check("packages", not other, ", ".join(other) or "as locked", "delete .venv and run `make test`")


def _gpu() -> Check:
    import torch

    if not torch.cuda.is_available():
        return Check("GPU", None, "none visible; everything runs on the CPU")
    names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return Check("GPU", True, ", ".join(names))


def _room(folder: Path) -> Check:
    free = shutil.disk_usage(folder).free
    return Check("room", free >= ROOM_BYTES, f"{free / 1e9:.0f} GB free in {folder}", "free 20 GB or more")


def _file_system(folder: Path) -> Check:
    target = folder.resolve()
    kinds = {}
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, kind = line.split(" ")[:3]
        if target.is_relative_to(mount.replace("\\040", " ")):
            kinds[len(mount)] = kind
    kind = kinds[max(kinds)] if kinds else "unknown"
    note = "; shared, so the cache's leases decide who writes" if kind in NETWORK_FILE_SYSTEMS else ""
    return Check("file system", None, kind + note)


def _accounting() -> Check:
    configured = _said("scontrol", "show", "config")
    kind = re.search(r"^AccountingStorageType\s*=\s*(\S+)", configured, re.MULTILINE)
    if kind and kind[1].endswith("none"):
        return Check(
            "accounting",
            None,
            "off: add `--slurm-status-command squeue --slurm-no-account`, since sacct would wait for ever",
        )
    return Check("accounting", True, f"{kind[1] if kind else 'on'}: sacct tells how jobs end")


def _partition(name: str, gpu: str) -> Check:
    known = _said("sinfo", "-h", "-o", "%P").replace("*", "").split()
    label, remedy = f"partition {name}", "write one of them into profiles/slurm/profile.yaml"
    if name not in known:
        return Check(label, False, f"not among {', '.join(known)}", remedy)
    resources = _said("sinfo", "-h", "-p", name, "-o", "%G")
    if gpu and f"gpu:{gpu}" not in resources:
        remedy = "set gpu_model in profiles/slurm/profile.yaml to the one in Gres=gpu:MODEL:N"
        return Check(label, False, f"expected GPUs of model {gpu}, found {resources.strip()}", remedy)
    return Check(label, True, resources.strip() if gpu else "there")


def _sees(partition: str, folder: Path) -> Check:
    """Whether a node of ``partition`` sees what is written here."""
    mark = folder / f".avemo-doctor-{uuid.uuid4().hex}"
    mark.touch()
    try:
        done = subprocess.run(
            ["srun", "-p", partition, "-t", "1", "--mem", "100", "test", "-e", str(mark.resolve())],
            capture_output=True,
            text=True,
            timeout=120,
        )
        found = "visible" if done.returncode == 0 else done.stderr.strip() or "not visible"
        ok = done.returncode == 0
    except subprocess.TimeoutExpired:
        ok, found = False, "no node answered within 2 minutes"
    finally:
        mark.unlink()
    remedy = "run from a folder that all nodes share, and see `sinfo` for nodes that are down"
    return Check(f"{folder} from {partition}", ok, found, remedy)


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout.strip()
