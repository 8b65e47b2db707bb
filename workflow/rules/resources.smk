# What jobs ask of a cluster: by the work they hold, and more with each attempt.
# Names of partitions, accounts and GPU models are the site's: they stand in the profile.
from math import ceil

# Minutes for start-up and reading; what comes on top each component declares (avemo.base.component.Work).
# A job that runs out of time keeps what it has done.
START_MIN = 15


def work(wildcards):
    """What the system, or the component, that a job works on asks for."""
    if "system" in wildcards.keys():
        return STUDY.work(RUNS[wildcards.run], f"systems/{wildcards.system}")
    try:
        return STUDY.component_work(wildcards.corpus, wildcards.component)
    except AvemoError as error:
        raise WorkflowError(str(error))


def minutes(wildcards, attempt):
    """Run time of a shard job."""
    seconds = work(wildcards).seconds * (of_shard(shard_seconds, wildcards) or 600)
    return attempt * ceil(START_MIN + seconds / 60)


def training_minutes(splits):
    """Run time of a job that trains so many splits."""

    def runtime(wildcards, attempt):
        run = RUNS[wildcards.run]
        index = LAYOUTS[wildcards.run].index
        rows = [1000]
        if index.exists():
            rows = by_shard(shard_clips, index, 1, index.stat().st_mtime_ns)
        epochs = run["systems"][wildcards.system]["training"]["epochs"]
        seconds = splits * work(wildcards).seconds * rows[0] * epochs
        return attempt * ceil(START_MIN + seconds / 60)

    return runtime


def megabytes(wildcards, attempt):
    """Memory: bounded by batches, not by clips, so only an attempt that failed asks for more."""
    return attempt * work(wildcards).memory_mb


def gpu_megabytes(wildcards):
    """Memory of a GPU."""
    return work(wildcards).gpu_mb
