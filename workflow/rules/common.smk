# What all rules share: the checked runs, the folders their files lie in, and which names wildcards may have.
# Triggers are params, given explicitly, and what records say of outputs; the config file is never an input.
import os
import re
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.io import checkpoint_target

from avemo.base.contracts import AvemoError
from avemo.base.made_of import record_path
from avemo.study.changed import CHANGED, Changed, touch
from avemo.study.environment import job_environment
from avemo.study.layout import TABLES, TRIAL
from avemo.study.run import STAGES
from avemo.study.searched import is_sequential, trial_spec
from avemo.study.specs import IndexSpec, LabelsSpec, as_cfg
from avemo.study.kept import resolve_cached
from avemo.study.triggers import Triggers
from avemo.training.recipe import TrainSpec

try:
    STUDY = resolve_cached(config)
except AvemoError as error:
    raise WorkflowError(str(error))

RUNS = STUDY.runs
LAYOUTS = STUDY.layouts
TRIGGERS = Triggers(STUDY)
CHANGES = Changed(STUDY, TRIGGERS)
CACHE = STUDY.cache / "{corpus}"
RESULTS = STUDY.folder / "{run}"
# The page of runs across corpora, where there are any.
ACROSS = [STUDY.folder / "across.html"] if STUDY.across else []

ENVIRONMENTS = Path(workflow.basedir) / "envs"
# Installs the lock; used with `--sdm conda` only.
ENVIRONMENT = ENVIRONMENTS / "environment.yaml"
os.environ.update(job_environment(STUDY, Path(workflow.basedir)))
NEWER = touch() if workflow.is_main_process else CHANGED


# Holds the lock; used with `--sdm apptainer` only. Snakemake takes no image from a path with a space.
if " " not in str(ENVIRONMENTS):

    container: str(ENVIRONMENTS / "avemo.sif")


def one_of(names):
    """A constraint that admits these names alone; nothing where there are none."""
    return "|".join(map(re.escape, sorted(names))) or r"(?!)"


wildcard_constraints:
    corpus=one_of(STUDY.corpora),
    run=one_of(RUNS),
    shard=r"\d{4}",
    split=r"split\d+(_seed\d+)?",
    system=one_of({system for run in RUNS.values() for system in run.systems}),
    component=one_of(STUDY.component_ids(*STAGES)),


def write_summaries(ok):
    """What the run has cost so far; imported at its end only, to keep parsing short."""
    from avemo.progress import summary

    try:
        summary.write_summaries(STUDY, ok)
    except AvemoError as error:
        print(f"no run_summary.json: {error}", file=sys.stderr)
