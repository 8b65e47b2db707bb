# What all rules share: the checked config, where things lie, what triggers a rerun.
# Triggers are params (cfg, rows, listing), given explicitly; the config file is never an input.
import json
import os
from functools import lru_cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

from pipeline.clip_table import read_table, rows_digest, shard_rows
from pipeline.config import (
    corpus_of,
    corpus_part,
    feature_part,
    report_part,
    resolve_cached,
    speed_part,
    train_part,
)
from pipeline.contracts import AvemoError
from pipeline.layout import Layout

try:
    RUN = resolve_cached(config)
    LISTING = corpus_of(RUN).fingerprint()
except AvemoError as error:
    raise WorkflowError(str(error))

LAYOUT = Layout(RUN)
SHARDS = range(RUN["corpus"]["shards"])
SPLITS = [f"split{number:02d}" for number in range(RUN["splits"]["n"])]
SYSTEMS = list(RUN["systems"])
FACES = RUN["faces"]["id"]
AUDIO = RUN["features"]["audio"]["id"]
VISUAL = RUN["features"]["visual"]["id"]
COMPONENTS = [FACES, AUDIO, VISUAL]
os.environ.update(
    # Speed settings reach the commands by environment, so changing them reruns nothing.
    AVEMO_SPEED=json.dumps(speed_part(RUN)),
    # Networks free and take back large buffers at every layer; without these glibc asks the kernel each time.
    MALLOC_TRIM_THRESHOLD_="1000000000",
    MALLOC_MMAP_THRESHOLD_="1000000000",
)
# Installs the lock; used with `--sdm conda` only.
ENVIRONMENT = Path(workflow.basedir) / "envs" / "environment.yaml"


wildcard_constraints:
    shard=r"\d{4}",
    split=r"split\d+",
    system="|".join(SYSTEMS),
    component="|".join(COMPONENTS),


def as_json(part):
    # Not sorted: the order of systems means something, all other order is the schema's.
    return json.dumps(part)


@lru_cache(maxsize=2)
def rows_by_shard(mtime_ns):
    rows = read_table(LAYOUT.index)
    return [rows_digest(shard_rows(rows, shard, len(SHARDS))) for shard in SHARDS]


def rows(wildcards):
    """Digest of the shard's own clips: what a shard job must be run again for."""
    if not LAYOUT.index.exists():
        return "not indexed yet"
    return rows_by_shard(LAYOUT.index.stat().st_mtime_ns)[int(wildcards.shard)]


def clip_index(wildcards):
    return ancient(checkpoints.index.get().output[0])


def shards_of(component):
    return [LAYOUT.shard(component, shard) for shard in SHARDS]
