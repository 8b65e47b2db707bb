# Every system on every split; the test part is read once, by evaluate.
localrules:
    baselines,


rule train:
    input:
        labels=ANY.labels,
        splits=ANY.splits,
        features=lambda wildcards: manifests(wildcards.run, "audio", "visual"),
    output:
        model=ANY.trained("{system}", "{split}") / "model.safetensors",
        history=ANY.trained("{system}", "{split}") / "history.csv",
        record=ANY.trained("{system}", "{split}") / "run.json",
    log:
        ANY.logs / "train" / "{system}-{split}.log",
    benchmark:
        ANY.benchmarks / "train" / "{system}-{split}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        gpu=1,
        gpu_mb=16000,
        mem_mb=megabytes(6000),
        runtime=training_minutes,
    params:
        cfg=train_cfg,
        features=feature_options,
        resume=str(ANY.resume("{system}", "{split}")),
    message:
        "train {wildcards.run}/{wildcards.system} on {wildcards.split}"
    shell:
        "avemo train --cfg {params.cfg:q} --run {wildcards.run} --system {wildcards.system}"
        " --split {wildcards.split} --labels {input.labels:q}"
        " --splits {input.splits:q} {params.features:q}"
        " --resume {params.resume:q} --threads {threads} --gpu-mb {resources.gpu_mb} --out {output.model:q} > {log:q} 2>&1"


rule evaluate:
    input:
        labels=ANY.labels,
        splits=ANY.splits,
        features=lambda wildcards: manifests(wildcards.run, "audio", "visual"),
        models=models,
    output:
        predictions=ANY.predictions("{system}"),
        scores=ANY.scores("{system}"),
    log:
        ANY.logs / "evaluate-{system}.log",
    conda:
        ENVIRONMENT
    threads: 1
    params:
        features=feature_options,
        readings=str(ANY.readings("{system}")),
    message:
        "evaluate {wildcards.run}/{wildcards.system}"
    shell:
        "avemo evaluate --system {wildcards.system} --labels {input.labels:q} --splits {input.splits:q}"
        " {params.features:q} --readings {params.readings:q} --predictions {output.predictions:q}"
        " --scores {output.scores:q} --threads {threads} {input.models:q} > {log:q} 2>&1"


rule baselines:
    input:
        labels=ANY.labels,
        splits=ANY.splits,
    output:
        ANY.scores("baselines"),
    log:
        ANY.logs / "baselines.log",
    conda:
        ENVIRONMENT
    message:
        "chance and majority baselines of {wildcards.run}"
    shell:
        "avemo baselines --labels {input.labels:q} --splits {input.splits:q} --out {output:q} > {log:q} 2>&1"
