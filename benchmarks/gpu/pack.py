"""`make gpu-pack`: what a machine with PyTorch and without a network needs for `make gpu`, in ``.gpu``.

Wheels of the lock's versions for its Python, the drawn clips, and ``run.sh``. Take the tree there with the folder, and
run ``sh .gpu/run.sh OUT``.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.gpu.__main__ import CLIPS
from benchmarks.gpu.sample import made

FOLDER = Path(".gpu")
LOCK = Path("envs/requirements.lock")
NAMES = (
    *(
        "av",
        "facenet-pytorch",
        "opensmile",
        "audeer",
        "audinterface",
        "audobject",
        "audiofile",
        "audresample",
    ),
    *(
        "audmath",
        "audformat",
        "iso639-lang",
        "iso3166",
        "oyaml",
        "asttokens",
        "soundfile",
        "cffi",
        "pydantic",
    ),
    *("pydantic-core", "annotated-types", "typing-inspection", "typing-extensions"),
)
"""Taken along, beside PyTorch, transformers, timm, h5py, pandas and OpenCV, which images of such machines have."""
PLATFORMS = (
    "manylinux_2_28_x86_64",
    "manylinux_2_27_x86_64",
    "manylinux_2_17_x86_64",
    "manylinux2014_x86_64",
    "manylinux1_x86_64",
)
LIMIT_MB = 64
RUN = """#!/bin/sh
# In the project's root, on the GPU machine: results go to the folder that is given.
set -e
python3 -m pip install -q --no-index --no-deps --no-compile --upgrade --target .gpu/site .gpu/wheels/*.whl
PYTHONPATH="$PWD:$PWD/pipeline:$PWD/.gpu/site" HF_HUB_OFFLINE=1 PYTHONUNBUFFERED=1 \\
  exec python3 -m benchmarks.gpu --out "$1"
"""


def pinned(lock: str, names: tuple[str, ...]) -> list[str]:
    """``name==version`` of each, as the lock has it; ends the program where it lacks one."""
    versions = dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", lock, re.MULTILINE))
    missing = [name for name in names if name not in versions]
    if missing:
        raise SystemExit(f"{LOCK}: expected {', '.join(missing)}, found none; correct NAMES in {__file__}")
    return [f"{name}=={versions[name]}" for name in names]


def main(arguments: list[str] | None = None) -> None:
    """Fill the folder; exit code 1 where tree and folder together are too large to be sent."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default="3.12", help="of the GPU machine (3.12)")
    asked = parser.parse_args(arguments)
    shutil.rmtree(FOLDER / "wheels", ignore_errors=True)
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    wanted = [
        "--only-binary=:all:",
        "--no-deps",
        "--python-version",
        asked.python,
        "--implementation",
        "cp",
        *platforms,
    ]
    pip = [shutil.which("python3") or sys.executable, "-m", "pip", "download", "-q"]
    subprocess.run(
        [*pip, *wanted, "-d", str(FOLDER / "wheels"), *pinned(LOCK.read_text(), NAMES)], check=True
    )
    made(FOLDER / "sample", CLIPS)
    (FOLDER / "run.sh").write_text(RUN)
    tree = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=True).stdout.split(
        "\0"
    )
    files = [*map(Path, filter(None, tree)), *FOLDER.rglob("*")]
    total_mb = (
        sum(path.stat().st_size for path in files if path.is_file() and "site" not in path.parts) / 2**20
    )
    print(f"tree and {FOLDER}: {total_mb:.0f} MiB of {LIMIT_MB}")
    sys.exit(total_mb >= LIMIT_MB)


if __name__ == "__main__":
    main()
