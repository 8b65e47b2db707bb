"""A real Slurm on this machine: two nodes (one with two pretended GPUs), started and stopped by the tests.

Slurm's daemons must run as root and find their configuration at its default
place, since Snakemake's job step drops ``SLURM_CONF``. Nothing of a Slurm that
is configured already is touched: the tests skip instead. There is one such
place on a machine, so a second cluster waits until the first has stopped.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol")
CONFIG = Path("/etc/slurm/slurm.conf")
MARK = "# written by avemo's tests"
TURN = Path("/tmp/avemo-slurm.lock")
PORTS = {"cpu1": 17001, "gpu1": 17002}

TEMPLATE = """{mark}
ClusterName=avemo
SlurmctldHost=localhost
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
SlurmctldTimeout=10
SlurmdTimeout=10
ReturnToService=2
MpiDefault=none
KillWait=3
OverTimeLimit=0
MinJobAge=3600
JobRequeue=0
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/completed.txt
GresTypes=gpu
SlurmdParameters=config_overrides
NodeName=cpu1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={cpu1} CPUs=4 RealMemory=16000 State=UNKNOWN
NodeName=gpu1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={gpu1} CPUs=4 RealMemory=16000 Gres=gpu:h200:2 State=UNKNOWN
PartitionName=cpu Nodes=cpu1 Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=gpu1 MaxTime=INFINITE State=UP
"""


def why_not() -> str:
    """Why no Slurm can be started here; "" if one can."""
    missing = [name for name in DAEMONS if shutil.which(name, path=_path()) is None]
    if missing:
        return f"Slurm is not installed: no {', '.join(missing)} (Debian: apt-get install slurm-wlm munge)"
    if os.geteuid() != 0:
        return "Slurm's daemons must run as root"
    if CONFIG.exists() and MARK not in CONFIG.read_text():
        return f"{CONFIG} belongs to another Slurm"
    return ""


class Cluster:
    """Two nodes in ``folder``: ``cpu1`` in partition ``cpu``, ``gpu1`` with two GPUs in partition ``gpu``."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.turn = TURN.open("w")

    def start(self) -> None:
        """Write the configuration, start the daemons, wait until both nodes are idle."""
        fcntl.flock(self.turn, fcntl.LOCK_EX)
        if CONFIG.exists():  # What a killed run has left.
            found = re.search(r"^StateSaveLocation=(.+)/state$", CONFIG.read_text(), re.MULTILINE)
            if found:
                Cluster(Path(found[1]))._kill_daemons()
        for name in ("state", "spool", "dev"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        devices = [self.folder / "dev" / f"gpu{number}" for number in range(2)]
        for device in devices:
            device.touch()
        CONFIG.parent.mkdir(parents=True, exist_ok=True)
        CONFIG.write_text(TEMPLATE.format(mark=MARK, folder=self.folder, **PORTS))
        files = f"{self.folder}/dev/gpu[0-1]"
        CONFIG.with_name("gres.conf").write_text(f"{MARK}\nNodeName=gpu1 Name=gpu Type=h200 File={files}\n")
        _start_munge()
        self.start_controller()
        for node in PORTS:
            self.start_node(node)
        self.wait_for(lambda: self.states() == dict.fromkeys(PORTS, "idle"), "both nodes idle")

    def stop(self) -> None:
        """Cancel what runs, stop the daemons, remove the configuration."""
        self.run("scancel", "--state=RUNNING", "--state=PENDING", check=False)
        self._kill_daemons()
        CONFIG.unlink(missing_ok=True)
        CONFIG.with_name("gres.conf").unlink(missing_ok=True)
        self.turn.close()

    def _kill_daemons(self) -> None:
        for name in (*(f"slurmd-{node}.pid" for node in PORTS), "slurmctld.pid"):
            self.kill(name)

    def start_controller(self) -> None:
        """Start slurmctld."""
        self.run("slurmctld")

    def start_node(self, node: str) -> None:
        """Start a node's slurmd."""
        self.run("slurmd", "-N", node)

    def kill(self, pid_file: str, signal: int = 9) -> None:
        """Kill a daemon by its pid file and wait until it is gone."""
        file = self.folder / pid_file
        if not file.exists():
            return
        pid = int(file.read_text())
        try:
            os.kill(pid, signal)
            self.wait_for(lambda: not _alive(pid), f"{pid_file} gone")
        except ProcessLookupError:
            pass
        file.unlink(missing_ok=True)

    def kill_job(self, job: str) -> None:
        """SIGKILL to all that a job started, and to Slurm's own processes of it."""
        for process in Path("/proc").glob("[0-9]*"):
            try:
                own = f"\0SLURM_JOB_ID={job}\0".encode() in b"\0" + (process / "environ").read_bytes()
                step = (process / "cmdline").read_bytes().startswith(f"slurmstepd: [{job}.".encode())
                if own or step:
                    os.kill(int(process.name), signal.SIGKILL)
            except OSError:
                continue

    def states(self) -> dict[str, str]:
        """State of each node, as sinfo says it."""
        lines = self.run("sinfo", "-N", "-h", "-o", "%N %t", check=False).splitlines()
        return dict(line.split() for line in lines if len(line.split()) == 2)

    def jobs(self) -> list[dict[str, str]]:
        """Every job's record in Slurm's own words, the oldest first."""
        text = self.run("scontrol", "-d", "-o", "show", "jobs", check=False)
        found = [dict(re.findall(r"(\w+(?::\w+)?)=(\S*)", line)) for line in text.splitlines()]
        return sorted((job for job in found if "JobId" in job), key=lambda job: int(job["JobId"]))

    def run(self, *command: str, check: bool = True) -> str:
        """One of Slurm's commands; returns what it printed."""
        environment = os.environ | {"PATH": _path()}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
        return done.stdout

    def wait_for(self, condition, what: str, timeout_s: float = 30) -> None:
        """Poll until ``condition()``; raises `TimeoutError` with the daemons' last words."""
        until = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > until:
                logs = "".join(f"\n{p}:\n{p.read_text()[-1500:]}" for p in sorted(self.folder.glob("*.log")))
                raise TimeoutError(f"expected {what} within {timeout_s} s{logs}")
            time.sleep(0.2)


def _path() -> str:
    return f"{os.environ['PATH']}:/usr/sbin:/sbin"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


def _start_munge() -> None:
    if subprocess.run(["munge", "-n"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
        return
    for folder in ("/run/munge", "/var/lib/munge", "/var/log/munge"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        shutil.chown(folder, "munge", "munge")
    key = Path("/etc/munge/munge.key")
    if not key.exists():
        key.parent.mkdir(exist_ok=True)
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        shutil.chown(key, "munge", "munge")
    subprocess.run(
        ["munged"], user="munge", group="munge", extra_groups=[], check=True, env={"PATH": _path()}
    )
