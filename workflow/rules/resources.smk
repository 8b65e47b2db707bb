# What jobs ask of a cluster: by the work they hold, and more with each attempt.
# Names of partitions, accounts and GPU models are the site's: they stand in the profile.
from math import ceil

# Minutes for start-up and reading; then seconds of work for each second of media on one CPU thread,
# two to four times what `make bench` measures. A job that runs out of time keeps what it has done.
START_MIN = 15
PER_SECOND = {
    "faces": 1.0,
    "crops": 0.5,
    "audio": 0.5,
    "audio network": 2.0,
    "visual": 4.0,
}
TRAINING_S = 0.1  # for each clip and epoch, on one CPU thread


def minutes(kind):
    """Run time of a shard job."""

    def runtime(wildcards, attempt):
        seconds = TRIGGERS.seconds(wildcards.corpus, wildcards.shard) or 600
        return attempt * ceil(START_MIN + PER_SECOND[kind] * seconds / 60)

    return runtime


def training_minutes(splits):
    """Run time of a job that trains so many splits."""

    def runtime(wildcards, attempt):
        run = RUNS[wildcards.run]
        clips = TRIGGERS.count(run.corpus.id) or 1000
        epochs = run.systems[wildcards.system].training.epochs
        seconds = splits * TRAINING_S * clips * epochs
        return attempt * ceil(START_MIN + seconds / 60)

    return runtime


def megabytes(first):
    """Memory: bounded by batches, not by clips, so only an attempt that failed asks for more."""
    return lambda wildcards, attempt: first * attempt
