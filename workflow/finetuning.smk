# Fine-tuning, apart from the main workflow: its outputs are weights, which a run's config names.
#
#   snakemake -s workflow/finetuning.smk --configfile config/finetuning.yaml
import re

from snakemake.exceptions import WorkflowError

from avemo.base.contracts import AvemoError
from avemo.study.specs import as_cfg
from avemo.study.tunings import read_tunings

CONFIGFILES = workflow.overwrite_configfiles


include: "rules/checked.smk"


try:
    TUNINGS = read_tunings(config)
except AvemoError as error:
    raise WorkflowError(str(error))

TUNED = TUNINGS.by_folder


rule all:
    default_target: True
    input:
        list(TUNED),


rule finetune:
    input:
        table=lambda w: TUNED[w.out].table,
    output:
        directory("{out}"),
    log:
        "{out}.log",
    benchmark:
        "{out}.tsv"
    wildcard_constraints:
        out="|".join(map(re.escape, TUNED)),
    threads: 8
    resources:
        gpu=1,
        gpu_mb=32000,
        mem_mb=lambda w, attempt: 32000 * attempt,
        runtime=lambda w, attempt: 1440 * attempt,
    params:
        kind=lambda w: TUNINGS.kinds[w.out],
        cfg=lambda w: as_cfg(TUNED[w.out].config),
        weights=lambda w: TUNED[w.out].weights,
        resume=lambda w: TUNED[w.out].resume,
    message:
        "fine-tune {params.kind} on {input.table}"
    shell:
        "avemo finetune {params.kind} --cfg {params.cfg:q} --table {input.table:q}"
        " --resume {params.resume:q} --threads {threads} --gpu-mb {resources.gpu_mb} --out {output:q} > {log:q} 2>&1"
