# Every system on every split; the test part is read once, by evaluate.
localrules:
    baselines,


# A rule has as many outputs whatever its wildcards are, so each pack of splits has one of its own.
for training, (pack, runs) in packs().items():

    rule:
        name:
            training
        input:
            labels=ANY.labels,
            splits=ANY.splits,
            features=lambda wildcards: manifests(wildcards.run, "audio", "visual"),
        output:
            model=[
                ANY.trained("{system}", split) / "model.safetensors" for split in pack
            ],
            history=[ANY.trained("{system}", split) / "history.csv" for split in pack],
            record=[ANY.trained("{system}", split) / "run.json" for split in pack],
        log:
            ANY.logs / "train" / f"{{system}}-{pack[0]}.log",
        benchmark:
            ANY.benchmarks / "train" / f"{{system}}-{pack[0]}.tsv"
        wildcard_constraints:
            run=one_of(runs),
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            gpu=1,
            gpu_mb=gpu_megabytes,
            mem_mb=megabytes,
            runtime=training_minutes(len(pack)),
        params:
            cfg=train_cfg,
            features=feature_options,
            # Functions of the output are no triggers: packing otherwise trains nothing again.
            splits=split_options,
            resume=resume_pattern,
            out=model_pattern,
        message:
            "train {wildcards.run}/{wildcards.system} {params.splits}"
        shell:
            "avemo train --cfg {params.cfg:q} --run {wildcards.run} --system {wildcards.system}"
            " {params.splits:q} --labels {input.labels:q}"
            " --splits {input.splits:q} {params.features:q}"
            " --resume {params.resume:q} --threads {threads} --gpu-mb {resources.gpu_mb}"
            " --out {params.out:q} > {log:q} 2>&1"

    # What a profile asks for `train` holds for every pack.
    workflow.get_rule(training).resources.update(
        workflow.resource_settings.overwrite_resources.get("train", {})
    )


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
