# From raw clips to significance tables. `snakemake -n` says what would run, and why.
from snakemake.utils import min_version

from avemo.progress.journal import watch

min_version("9.27")
JOURNAL = watch(workflow)

CONFIGFILES = workflow.overwrite_configfiles or ["config/config.yaml"]


include: "workflow/rules/checked.smk"


if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/resources.smk"


localrules:
    all,
    features,
    tables,
    paper,


rule all:
    default_target: True
    input:
        [layout.report for layout in LAYOUTS.values()],
        [STUDY.shards(run) for run in RUNS],
        STUDY.table_files,
        ACROSS,


rule features:
    input:
        [STUDY.manifests(run, *STAGES) for run in RUNS],
        [STUDY.shards(run) for run in RUNS],
        [sheets(run) for run in RUNS],


rule tables:
    input:
        [layout.table_files for layout in LAYOUTS.values()],
        STUDY.table_files,


rule paper:
    input:
        STUDY.table_files,


include: "workflow/rules/corpus.smk"
include: "workflow/rules/faces.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/report.smk"


if STUDY.tables or ACROSS:

    include: "workflow/rules/record.smk"


if ACROSS:

    include: "workflow/rules/across.smk"


if STUDY.tables:

    include: "workflow/rules/paper.smk"


onsuccess:
    write_summaries(ok=not JOURNAL.forgotten)
    JOURNAL.require_none_forgotten()


onerror:
    write_summaries(ok=False)
