# Fine-tuning, apart from the main workflow: its outputs are weights, which a run's config names.
#
#   snakemake -s workflow/finetuning.smk --configfile config/finetuning.yaml
import json
from pathlib import Path

from pipeline.features.weights import quick_identity

SPEECH = config.get("speech", {})
RESULTS = [section["out"] for section in (SPEECH,) if section]


rule all:
    default_target: True
    input:
        RESULTS,


if SPEECH:

    rule speech:
        input:
            table=SPEECH["table"],
        output:
            directory(SPEECH["out"]),
        log:
            SPEECH["out"] + ".log",
        benchmark:
            SPEECH["out"] + ".tsv"
        threads: 8
        resources:
            gpu=1,
            mem_mb=lambda wildcards, attempt: 32000 * attempt,
            runtime=lambda wildcards, attempt: 1440 * attempt,
        params:
            cfg=json.dumps(SPEECH["config"]),
            weights=quick_identity(SPEECH["config"]["weights"]),
            resume=str(
                Path(SPEECH["out"]).with_name(
                    "." + Path(SPEECH["out"]).name + ".resume"
                )
            ),
        message:
            "fine-tune wav2vec 2.0 on {input.table}"
        shell:
            "avemo finetune speech --cfg {params.cfg:q} --table {input.table:q} --resume {params.resume:q}"
            " --threads {threads} --out {output:q} > {log:q} 2>&1"
