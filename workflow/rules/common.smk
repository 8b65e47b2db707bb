# What all rules share: the checked runs, where things lie, what rules read, what triggers a rerun.
# Triggers are params (cfg, rows, listing), given explicitly; the config file is never an input.
import json
import os
import re
import sys
from functools import lru_cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

from avemo.index.clip_table import (
    shard_clips,
    shard_digests,
    shard_seconds,
    summarised,
)
from avemo.study.config import (
    compared_systems,
    corpus_part,
    report_part,
    train_part,
)
from avemo.base.contracts import AvemoError
from avemo.dataset.split_names import split_names
from avemo.study.layout import Layout
from avemo.study.file_contents import contents, label_contents
from avemo.study.file_contents import listing as find_listing
from avemo.study.study import STAGES, components_of, resolve_cached, source_digest

try:
    STUDY = resolve_cached(config)
except AvemoError as error:
    raise WorkflowError(str(error))

RUNS = STUDY.runs
ANY = STUDY.pattern
LAYOUTS = STUDY.layouts
os.environ.update(
    # Speed settings reach the commands by environment, so changing them reruns nothing.
    AVEMO_SPEED=json.dumps(STUDY.speed()),
    # Networks free and take back large buffers at every layer; without these glibc asks the kernel each time.
    MALLOC_TRIM_THRESHOLD_="1000000000",
    MALLOC_MMAP_THRESHOLD_="1000000000",
    # A container brings the packages; the commands are this checkout's, as the rules are.
    APPTAINERENV_PYTHONPATH=str(Path(workflow.basedir) / "pipeline"),
)
ENVIRONMENTS = Path(workflow.basedir) / "envs"
# Installs the lock; used with `--sdm conda` only.
ENVIRONMENT = ENVIRONMENTS / "environment.yaml"


# Holds the lock; used with `--sdm apptainer` only. Snakemake takes no image from a path with a space.
if " " not in str(ENVIRONMENTS):

    container: str(ENVIRONMENTS / "avemo.sif")


def write_summaries(study, ok):
    """What the run has cost so far; imported at its end only, to keep parsing short."""
    from avemo.progress import summary

    try:
        summary.write_summaries(study, ok)
    except AvemoError as error:
        print(f"no run_summary.json: {error}", file=sys.stderr)


def one_of(names):
    """A constraint that admits these names alone; nothing where there are none."""
    return "|".join(map(re.escape, sorted(names))) or r"(?!)"


def components(*stages, gpu=None):
    """Ids of the components of these stages, in any corpus; only networks, or only the others."""
    return {
        component
        for (_, component), (stage, run) in STUDY.components.items()
        if stage in stages and gpu in (None, bool(STUDY.work(run, stage).gpu_mb))
    }


wildcard_constraints:
    corpus=one_of(STUDY.corpora),
    run=one_of(RUNS),
    shard=r"\d{4}",
    split=r"split\d+",
    system=one_of({name for run in RUNS.values() for name in run["systems"]}),
    component=one_of(components(*STAGES)),


def as_json(part):
    # Not sorted: the order of systems means something, all other order is the schema's.
    return json.dumps(part)


def shards(wildcards):
    """Into how many shards the corpus is cut."""
    return STUDY.corpora[wildcards.corpus]["corpus"]["shards"]


def component_cfg(wildcards):
    """What the shards of a component depend on."""
    try:
        return as_json(STUDY.component_part(wildcards.corpus, wildcards.component))
    except AvemoError as error:
        raise WorkflowError(str(error))


def strict(wildcards):
    return "--strict" if STUDY.strict(wildcards.corpus) else ""


@lru_cache(maxsize=None)
def listing(corpus):
    """What the corpus' files are; a rule that depends on it runs again when it changes."""
    try:
        return find_listing(corpus, STUDY.corpora[corpus], workflow.is_main_process)
    except AvemoError as error:
        raise WorkflowError(str(error))


@lru_cache(maxsize=None)
def by_shard(summarise, index, shards, mtime_ns):
    """Kept on disk too: on a cluster every job asks for it again."""
    return summarised(summarise, index, shards, Path(".avemo"), source_digest())


def of_shard(summarise, wildcards):
    """What ``summarise`` makes of the shard's own clips; None while there is no index."""
    index = Layout(STUDY.corpora[wildcards.corpus]).index
    if not index.exists():
        return None
    found = by_shard(summarise, index, shards(wildcards), index.stat().st_mtime_ns)
    return found[int(wildcards.shard)]


def rows(wildcards):
    """Digest of the shard's own clips: what a shard job must be run again for."""
    return of_shard(shard_digests, wildcards) or "not indexed yet"


def label_files(wildcards):
    """What the files hold that a run's labels are read from; indexing may make them."""
    if not LAYOUTS[wildcards.run].index.exists():
        return "not indexed yet"
    try:
        return label_contents(RUNS[wildcards.run])
    except AvemoError as error:
        raise WorkflowError(str(error))


def run_index(wildcards):
    """The clip table of a run's corpus."""
    corpus = RUNS[wildcards.run]["corpus"]["id"]
    return checkpoints.index.get(corpus=corpus).output[0]


def clip_index(wildcards):
    return ancient(checkpoints.index.get(corpus=wildcards.corpus).output[0])


def splits(run):
    return split_names(RUNS[run]["splits"]["n"])


def packs():
    """By rule: the splits that one job trains, and the runs that pack them so; a single one stays a wildcard."""
    found = {}
    for run in RUNS:
        names, size = splits(run), RUNS[run]["speed"]["splits_per_job"]
        for first in range(0, len(names), size):
            pack = names[first : first + size]
            name = f"train_{pack[0]}_{pack[-1]}"
            if size == 1:
                name, pack = "train", ["{split}"]
            found.setdefault(name, (pack, []))[1].append(run)
    return found


def systems(run):
    """A run's systems, the one that is compared with all others first."""
    return list(RUNS[run]["systems"])


def manifests(run, *stages):
    """Manifests of a run's components of these stages, as far as it has them."""
    found = components_of(RUNS[run])
    return [LAYOUTS[run].manifest(found[stage]) for stage in stages if stage in found]


def sheets(run):
    """A run's contact sheet, where it tracks faces."""
    return [LAYOUTS[run].sheet] if manifests(run, "faces") else []


def feature_options(wildcards):
    """The features a run's systems see, as options."""
    return stage_options(wildcards, "audio", "visual")


def stage_options(wildcards, *stages):
    """The manifests of a run's stages, as options."""
    given = [(stage, manifests(wildcards.run, stage)) for stage in stages]
    return [
        word
        for stage, found in given
        for path in found
        for word in (f"--{stage}", str(path))
    ]


def face_shard(wildcards):
    """The face tracks of the shard's clips, or the crops that were kept of them."""
    corpus = STUDY.corpora[wildcards.corpus]
    part = json.loads(component_cfg(wildcards))
    return Layout(corpus).shard(part.get("crops") or part["faces"], wildcards.shard)


def component_shards(wildcards):
    """All shards of a component."""
    layout = Layout(STUDY.corpora[wildcards.corpus])
    return [layout.shard(wildcards.component, n) for n in range(shards(wildcards))]


def train_cfg(wildcards):
    """What training a system depends on, features and splits apart."""
    run, system = RUNS[wildcards.run], wildcards.system
    if system not in run["systems"]:
        raise WorkflowError(f"run {wildcards.run} has no system {system}")
    return as_json(train_part(run, system))


def split_options(wildcards, output):
    """The splits that a job trains, as options."""
    return [
        word for path in output.model for word in ("--split", Path(path).parent.name)
    ]


def resume_pattern(wildcards, output):
    """Where a job's checkpoints lie; avemo puts the split's name in."""
    return str(LAYOUTS[wildcards.run].resume(wildcards.system, "{split}"))


def model_pattern(wildcards, output):
    """Where a job's models lie; avemo puts the split's name in."""
    folder = LAYOUTS[wildcards.run].trained(wildcards.system, "{split}")
    return str(folder / "model.safetensors")


def models(wildcards):
    """A system's models, one a split."""
    layout = LAYOUTS[wildcards.run]
    trained = [
        layout.trained(wildcards.system, split) for split in splits(wildcards.run)
    ]
    return [folder / "model.safetensors" for folder in trained]


def records(wildcards):
    """What tables and report read; the run's own config tells them where it lies."""
    run, layout = wildcards.run, LAYOUTS[wildcards.run]
    return {
        "config": layout.config,
        "labels": layout.labels,
        "splits": layout.splits,
        "tests": layout.tests,
        "quality": layout.quality,
        "manifests": manifests(run, *STAGES),
        "scores": [layout.scores(system) for system in (*systems(run), "baselines")],
        "predictions": [layout.predictions(system) for system in systems(run)],
        "records": [
            layout.trained(system, split) / "run.json"
            for system in systems(run)
            for split in splits(run)
        ],
    }
