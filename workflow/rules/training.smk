# Every system on every split; the test part is read once, by evaluate.
localrules:
    baselines,


rule train:
    input:
        labels=LAYOUT.labels,
        splits=LAYOUT.splits,
        audio=LAYOUT.manifest(AUDIO),
        visual=LAYOUT.manifest(VISUAL),
    output:
        model=LAYOUT.trained("{system}", "{split}") / "model.safetensors",
        history=LAYOUT.trained("{system}", "{split}") / "history.csv",
        record=LAYOUT.trained("{system}", "{split}") / "run.json",
    log:
        LAYOUT.logs / "train" / "{system}-{split}.log",
    benchmark:
        LAYOUT.benchmarks / "train" / "{system}-{split}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        cfg=lambda wildcards: as_json(train_part(RUN, wildcards.system)),
        resume=str(LAYOUT.resume("{system}", "{split}")),
    message:
        "train {wildcards.system} on {wildcards.split}"
    shell:
        "avemo train --cfg {params.cfg:q} --system {wildcards.system}"
        " --split {wildcards.split} --labels {input.labels:q}"
        " --splits {input.splits:q} --audio {input.audio:q} --visual {input.visual:q}"
        " --resume {params.resume:q} --threads {threads} --out {output.model:q} > {log:q} 2>&1"


rule evaluate:
    input:
        labels=LAYOUT.labels,
        splits=LAYOUT.splits,
        audio=LAYOUT.manifest(AUDIO),
        visual=LAYOUT.manifest(VISUAL),
        models=lambda wildcards: [
            LAYOUT.trained(wildcards.system, split) / "model.safetensors"
            for split in SPLITS
        ],
    output:
        predictions=LAYOUT.predictions("{system}"),
        scores=LAYOUT.scores("{system}"),
    log:
        LAYOUT.logs / "evaluate-{system}.log",
    conda:
        ENVIRONMENT
    threads: 1
    message:
        "evaluate {wildcards.system}"
    shell:
        "avemo evaluate --system {wildcards.system} --labels {input.labels:q} --splits {input.splits:q}"
        " --audio {input.audio:q} --visual {input.visual:q} --predictions {output.predictions:q}"
        " --scores {output.scores:q} --threads {threads} {input.models:q} > {log:q} 2>&1"


rule baselines:
    input:
        labels=LAYOUT.labels,
        splits=LAYOUT.splits,
    output:
        LAYOUT.scores("baselines"),
    log:
        LAYOUT.logs / "baselines.log",
    conda:
        ENVIRONMENT
    message:
        "chance and majority baselines"
    shell:
        "avemo baselines --labels {input.labels:q} --splits {input.splits:q} --out {output:q} > {log:q} 2>&1"
