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
    media_s = TRIGGERS.seconds(wildcards.corpus, wildcards.shard) or 600
    return attempt * ceil(START_MIN + work(wildcards).seconds * media_s / 60)


def training_minutes(wildcards, attempt):
    """Run time of a job that trains a pack of splits; of a searched system it copies what its trials have left."""
    run = RUNS[wildcards.run]
    system = run.systems[wildcards.system]
    epochs = 0 if system.search else system.training.epochs
    return passes_minutes(wildcards, attempt, len(run.pack(wildcards.split)) * epochs)


def trial_minutes(wildcards, attempt):
    """Run time of a trial of a search: for as many epochs as it may try."""
    run = RUNS[wildcards.run]
    system = run.systems[wildcards.system]
    splits = system.search.splits_of(wildcards.study, run.split_names)
    tried = system.search.of_trial(int(wildcards.trial))
    epochs = tried.most("training.epochs", system.training.epochs)
    return passes_minutes(wildcards, attempt, len(splits) * epochs)


def evaluation_minutes(wildcards, attempt):
    """Run time of a job that scores all splits, each clip with both modalities and with each alone."""
    return passes_minutes(wildcards, attempt, len(RUNS[wildcards.run].split_names))


def passes_minutes(wildcards, attempt, passes):
    """Run time of a job that lets a system see all clips so many times."""
    run = RUNS[wildcards.run]
    clips = TRIGGERS.count(run.corpus.id) or 1000
    device = run.systems[wildcards.system].training.device
    seconds = work(wildcards).training_s(passes * clips, device)
    return attempt * ceil(START_MIN + seconds / 60)


def training_gpu_megabytes(wildcards):
    """Memory of a GPU for the corpus' features and a mini-batch of its longest clips."""
    corpus = RUNS[wildcards.run].corpus.id
    longest_s, media_s = (
        TRIGGERS.longest_s(corpus) or 10,
        TRIGGERS.total_s(corpus) or 600,
    )
    return STUDY.training_gpu_mb(wildcards.run, wildcards.system, longest_s, media_s)


def megabytes(wildcards, attempt):
    """Memory: bounded by batches, not by clips, so only an attempt that failed asks for more."""
    return attempt * work(wildcards).memory_mb


def gpu_megabytes(wildcards):
    """Memory of a GPU."""
    return work(wildcards).gpu_mb
