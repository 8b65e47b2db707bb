# What rules read and which options they give, where that depends on the run.
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
    """The same as options."""
    return STUDY.manifest_options(wildcards.run, "audio", "visual")


def sheets(run):
    """A run's contact sheet, where it tracks faces."""
    return [LAYOUTS[run].sheet] if STUDY.manifests(run, "faces") else []


def face_shard(wildcards):
    """The face tracks of the shard's clips, or the crops that were kept of them."""
    spec = STUDY.component_spec(wildcards.corpus, wildcards.component)
    layout = LAYOUTS[STUDY.corpora[wildcards.corpus].run]
    return layout.shard(getattr(spec, "crops", "") or spec.faces, wildcards.shard)


def component_shards(wildcards):
    """All shards of a component."""
    numbers = [f"{number:04d}" for number in range(shards(wildcards))]
    return expand(str(CACHE / "{component}/{shard}.h5"), **wildcards, shard=numbers)


def tables(form):
    """Pattern of every table in one of its three forms."""
    path = str(RESULTS / "tables/{table}.{form}")
    return expand(path, table=TABLES, form=form, allow_missing=True)


def of_systems(path):
    """The files of this name that a run's systems have."""
    return lambda wildcards: expand(
        path, run=wildcards.run, system=RUNS[wildcards.run].systems
    )


def of_trainings(path):
    """The files of this name that the trainings of a run's systems have."""

    def files(wildcards):
        run = RUNS[wildcards.run]
        return expand(path, run=run.run, system=run.systems, split=run.split_names)

    return files


def split_options(wildcards, output):
    """The splits that a job trains, as options."""
    return [
        word for path in output.model for word in ("--split", Path(path).parent.name)
    ]
