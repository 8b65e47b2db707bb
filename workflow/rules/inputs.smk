# What rules read and which options they give, where that depends on the run.
def where(changed):
    """An input that is newer than all outputs where their records tell of something else than now."""

    def chosen(wildcards):
        if not workflow.is_main_process:
            return ancient(CHANGED)
        try:
            return NEWER if changed(wildcards) else ancient(CHANGED)
        except AvemoError as error:
            raise WorkflowError(str(error))

    return chosen


def shards(wildcards):
    """Into how many shards the corpus is cut."""
    return STUDY.corpora[wildcards.corpus].corpus.shards


def clip_index(wildcards):
    """The clip table; once it is there, rules run again for their own clips and not for its time of change."""
    return ancient(checkpoints.index.get(corpus=wildcards.corpus).output[0])


def run_index(wildcards):
    """The clip table of a run's corpus."""
    corpus = RUNS[wildcards.run].corpus.id
    return checkpoints.index.get(corpus=corpus).output[0]


def feature_manifests(wildcards):
    """Manifests of the features that a run's system sees."""
    RUNS[wildcards.run].require(wildcards.system)
    return STUDY.manifests(wildcards.run, "audio", "visual")


def feature_options(wildcards):
    """The same as options, which say how they are seen."""
    return STUDY.feature_options(wildcards.run)


def sheets(run):
    """A run's contact sheet, where it tracks faces."""
    return [LAYOUTS[run].sheet] if STUDY.manifests(run, "faces") else []


def face_component(wildcards):
    """The component of the face tracks that a component reads, or of the crops that were kept of them."""
    spec = STUDY.component_spec(wildcards.corpus, wildcards.component)
    return getattr(spec, "crops", "") or spec.faces


def corpus_layout(wildcards):
    """Where a corpus' files lie."""
    return LAYOUTS[STUDY.corpora[wildcards.corpus].run]


def face_record(wildcards):
    """The record of the shard before."""
    return corpus_layout(wildcards).shard_record(
        face_component(wildcards), wildcards.shard
    )


def face_options(wildcards):
    """The shard itself, as an option."""
    component = face_component(wildcards)
    return [
        "--faces",
        str(corpus_layout(wildcards).shard(component, wildcards.shard)),
    ]


def parts(wildcards):
    """Ids of the corpora that united ones are; nothing for one corpus."""
    return STUDY.corpora[wildcards.corpus].corpus.parts


def united_tables(wildcards):
    """Clip tables of the corpora that united ones are."""
    layout = corpus_layout(wildcards)
    return [layout.index_of(corpus) for corpus in parts(wildcards)]


def united_labels(wildcards):
    """Labels of the corpora that a run's united ones are."""
    runs = RUNS[wildcards.run].corpus.label_runs
    return [LAYOUTS[run].labels for run in runs.values()]


def united_label_options(wildcards):
    """The same as options."""
    runs = RUNS[wildcards.run].corpus.label_runs
    return [f"--of={corpus}={LAYOUTS[run].labels}" for corpus, run in runs.items()]


def component_records(wildcards):
    """The records of all shards of a component; of united corpora their manifests."""
    layout = corpus_layout(wildcards)
    if parts(wildcards):
        return [
            layout.manifest_of(corpus, wildcards.component)
            for corpus in parts(wildcards)
        ]
    return [
        layout.shard_record(wildcards.component, number)
        for number in range(shards(wildcards))
    ]


def manifest_arguments(wildcards):
    """The shards themselves, or the united corpora as options."""
    layout = corpus_layout(wildcards)
    if parts(wildcards):
        return [f"--corpus={corpus}" for corpus in parts(wildcards)]
    return [
        str(layout.shard(wildcards.component, number))
        for number in range(shards(wildcards))
    ]


def tables(form):
    """Pattern of every table in one of its three forms."""
    path = str(RESULTS / "tables/{table}.{form}")
    return expand(path, table=TABLES, form=form, allow_missing=True)


def of_systems(path):
    """The files of this name that a run's systems have."""
    return lambda wildcards: expand(
        path, run=wildcards.run, system=RUNS[wildcards.run].systems
    )


def trained_by(wildcards):
    """The record by which the job is known that trains a split.

    Marked as what checkpoints wait for is: neither which record it is nor its time is a reason to run.
    """
    first = RUNS[wildcards.run].first_split(wildcards.split)
    model = LAYOUTS[wildcards.run].model(wildcards.system, first)
    return checkpoint_target(str(record_path(model)))


def trials_behind(wildcards):
    """The records of all trials of a searched system, whichever splits a job takes; nothing of others."""
    layout, trials = LAYOUTS[wildcards.run], RUNS[wildcards.run].trials(
        wildcards.system
    )
    return [layout.trial_record(wildcards.system, *trial) for trial in trials]


def trials_before(wildcards):
    """The records of trials that a trial reads; none of a grid's."""
    system = RUNS[wildcards.run].systems[wildcards.system]
    count = int(wildcards.trial) if is_sequential(system) else 0
    layout = LAYOUTS[wildcards.run]
    return [
        layout.trial_record(wildcards.system, wildcards.study, number)
        for number in range(count)
    ]


def trial_options(wildcards, input):
    """The trials themselves that a job reads, as options."""
    paths = [Path(path).with_name(TRIAL) for path in input.get("trials", [])]
    return [f"--trial={path}" for path in paths]


def trial_splits(wildcards):
    """The splits that a trial trains, as options."""
    run = RUNS[wildcards.run]
    search = run.systems[wildcards.system].search
    names = search.splits_of(wildcards.study, run.split_names)
    return [word for name in names for word in ("--split", name)]


def split_options(wildcards, output):
    """The splits that a job trains, as options."""
    pack = RUNS[wildcards.run].pack(wildcards.split)
    return [word for split in pack for word in ("--split", split)]
