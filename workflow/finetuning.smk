# Fine-tuning, apart from the main workflow: its outputs are weights, which a run's config names.
#
#   snakemake -s workflow/finetuning.smk --configfile config/finetuning.yaml
import json
from pathlib import Path

from avemo.weights.find import quick_identity

TUNED = {
    kind: section for kind, section in config.items() if kind in ("faces", "speech")
}


rule all:
    default_target: True
    input:
        [section["out"] for section in TUNED.values()],


for kind, section in TUNED.items():
    out = Path(section["out"])

    rule:
        name:
            kind
        input:
            table=section["table"],
        output:
            directory(out),
        log:
            f"{out}.log",
        benchmark:
            f"{out}.tsv"
        threads: 8
        resources:
            gpu=1,
            gpu_mb=32000,
            mem_mb=lambda wildcards, attempt: 32000 * attempt,
            runtime=lambda wildcards, attempt: 1440 * attempt,
        params:
            kind=kind,
            cfg=json.dumps(section["config"]),
            weights=quick_identity(section["config"]["weights"]),
            resume=str(out.with_name(f".{out.name}.resume")),
        message:
            "fine-tune on {input.table}"
        shell:
            "avemo finetune {params.kind} --cfg {params.cfg:q} --table {input.table:q}"
            " --resume {params.resume:q} --threads {threads} --gpu-mb {resources.gpu_mb} --out {output:q} > {log:q} 2>&1"
