# Every system on every split; the test part is read once, by evaluate.
localrules:
    baselines,


# A job trains a pack of splits, and its one output is the record of the first of them, as a rule may not name outputs of
# several splits; docs/architecture.md says more.
rule train:
    input:
        labels=RESULTS / "data/labels.parquet",
        splits=RESULTS / "data/splits.json",
        features=feature_manifests,
        trials=trials_behind,
        changed=where(lambda w: CHANGES.models(w.run, w.system, w.split)),
    output:
        RESULTS / "train/{system}/{split}/model.made.json",
    log:
        RESULTS / "logs/train/{system}-{split}.log",
    benchmark:
        RESULTS / "benchmarks/train/{system}-{split}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        gpu=1,
        gpu_mb=training_gpu_megabytes,
        mem_mb=megabytes,
        runtime=training_minutes,
    params:
        cfg=lambda w: as_cfg(RUNS[w.run].systems[w.system], TrainSpec),
        features=feature_options,
        trials=trial_options,
        # Functions of the output are no triggers: packing otherwise trains nothing again.
        splits=split_options,
        resume=str(RESULTS / ".resume/{system}"),
        out=str(RESULTS / "train/{system}"),
    message:
        "train {wildcards.run}/{wildcards.system} {params.splits}"
    shell:
        "avemo train --cfg {params.cfg:q} --run {wildcards.run} --system {wildcards.system}"
        " {params.splits:q} --labels {input.labels:q}"
        " --splits {input.splits:q} {params.features:q} {params.trials:q}"
        " --resume {params.resume:q}/'{{split}}' --threads {threads} --gpu-mb {resources.gpu_mb}"
        " --out {params.out:q}/'{{split}}/model.safetensors' > {log:q} 2>&1"


# What that job leaves for each of its splits. One output, as Snakemake deletes the others of a job that misses one.
rule trained:
    input:
        trained_by,
    output:
        RESULTS / "train/{system}/{split}/model.safetensors",


# A trial of a search; of TPE after all trials before it. Its models lie beside it, and `train` takes the best one's.
# Known by its record, as a shard is: Snakemake deletes the outputs of a job that was killed, also of one that was done.
rule trial:
    input:
        labels=RESULTS / "data/labels.parquet",
        splits=RESULTS / "data/splits.json",
        features=feature_manifests,
        trials=trials_before,
        changed=where(lambda w: CHANGES.trial(w.run, w.system, w.study, w.trial)),
    output:
        RESULTS / "search/{system}/{study}/{trial}/trial.made.json",
    log:
        RESULTS / "logs/search/{system}-{study}-{trial}.log",
    benchmark:
        RESULTS / "benchmarks/search/{system}-{study}-{trial}.tsv"
    wildcard_constraints:
        study=r"all|split\d+(_seed\d+)?",
        trial=r"\d{4}\d*",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        gpu=1,
        gpu_mb=training_gpu_megabytes,
        mem_mb=megabytes,
        runtime=trial_minutes,
    params:
        cfg=lambda w: as_cfg(trial_spec(RUNS[w.run].systems[w.system], int(w.trial))),
        features=feature_options,
        trials=trial_options,
        splits=trial_splits,
        resume=str(RESULTS / ".resume/search/{system}/{study}/{trial}"),
        out=str(RESULTS / "search/{system}/{study}/{trial}/trial.json"),
    message:
        "trial {wildcards.trial} of {wildcards.run}/{wildcards.system}, {wildcards.study}"
    shell:
        "avemo trial --cfg {params.cfg:q} --run {wildcards.run} --system {wildcards.system}"
        " --study {wildcards.study} --number {wildcards.trial} {params.splits:q} --labels {input.labels:q}"
        " --splits {input.splits:q} {params.features:q} {params.trials:q} --resume {params.resume:q}"
        " --threads {threads} --gpu-mb {resources.gpu_mb} --out {params.out:q} > {log:q} 2>&1"


rule evaluate:
    input:
        labels=RESULTS / "data/labels.parquet",
        splits=RESULTS / "data/splits.json",
        features=feature_manifests,
        models=lambda w: LAYOUTS[w.run].models(w.system, RUNS[w.run].split_names),
        changed=where(lambda w: CHANGES.scores(w.run, w.system)),
    output:
        predictions=RESULTS / "predictions/{system}.parquet",
        scores=RESULTS / "scores/{system}.csv",
    log:
        RESULTS / "logs/evaluate-{system}.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        gpu=1,
        gpu_mb=training_gpu_megabytes,
        mem_mb=megabytes,
        runtime=evaluation_minutes,
    params:
        features=feature_options,
        readings=str(RESULTS / ".readings/{system}.jsonl"),
    message:
        "evaluate {wildcards.run}/{wildcards.system}"
    shell:
        "avemo evaluate --run {wildcards.run} --system {wildcards.system} --labels {input.labels:q} --splits {input.splits:q}"
        " {params.features:q} --readings {params.readings:q} --predictions {output.predictions:q}"
        " --scores {output.scores:q} --threads {threads} --gpu-mb {resources.gpu_mb} {input.models:q} > {log:q} 2>&1"


rule baselines:
    input:
        labels=RESULTS / "data/labels.parquet",
        splits=RESULTS / "data/splits.json",
        changed=where(lambda w: CHANGES.baselines(w.run)),
    output:
        RESULTS / "scores/baselines.csv",
    log:
        RESULTS / "logs/baselines.log",
    conda:
        ENVIRONMENT
    message:
        "chance and majority baselines of {wildcards.run}"
    shell:
        "avemo baselines --labels {input.labels:q} --splits {input.splits:q} --out {output:q} > {log:q} 2>&1"


rule linear:
    input:
        labels=RESULTS / "data/labels.parquet",
        splits=RESULTS / "data/splits.json",
        features=lambda w: STUDY.manifests(w.run, "audio", "visual"),
        changed=where(lambda w: CHANGES.linear(w.run)),
    output:
        predictions=RESULTS / "predictions/linear.parquet",
        scores=RESULTS / "scores/linear.csv",
        record=RESULTS / "scores/linear_fits.json",
    log:
        RESULTS / "logs/linear.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=lambda w, attempt: attempt * 4000,
    params:
        features=feature_options,
    message:
        "linear baseline of {wildcards.run}"
    shell:
        "avemo linear --labels {input.labels:q} --splits {input.splits:q} {params.features:q}"
        " --predictions {output.predictions:q} --scores {output.scores:q} --record {output.record:q}"
        " --threads {threads} > {log:q} 2>&1"
