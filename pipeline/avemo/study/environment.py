"""The environment in which the jobs of a study run."""

from __future__ import annotations

import os
from pathlib import Path

from avemo.study.specs import settings
from avemo.study.study import Study


def job_environment(study: Study, workflow: Path) -> dict[str, str]:
    """Variables for every job; ``workflow`` is the folder of the Snakefile."""
    given = os.environ.get("PYTHONPATH", "")
    return {
        # These reach the commands by environment, so that changing them runs nothing again.
        "AVEMO_SETTINGS": settings(study.runs).model_dump_json(),
        # Networks free and take back large buffers at every layer; without these glibc asks the kernel each time.
        "MALLOC_TRIM_THRESHOLD_": "1000000000",
        "MALLOC_MMAP_THRESHOLD_": "1000000000",
        # A container brings the packages; the commands are this checkout's, as the rules are, and the caller's
        # own folders hold components that the config names.
        "APPTAINERENV_PYTHONPATH": os.pathsep.join(filter(None, [str(workflow / "pipeline"), given])),
    }
