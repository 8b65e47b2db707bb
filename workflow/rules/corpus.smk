# The clip table of each corpus; labels and splits of each run.
localrules:
    labels,
    splits,


checkpoint index:
    output:
        CACHE / "index.parquet",
    log:
        CACHE / "logs/index.log",
    benchmark:
        CACHE / "benchmarks/index.tsv"
    conda:
        ENVIRONMENT
    threads: 2
    params:
        cfg=lambda w: as_cfg(STUDY.corpora[w.corpus].corpus, IndexSpec),
        files=lambda w: TRIGGERS.files(w.corpus),
        hashes=str(CACHE / "hashes.json"),
    message:
        "clip table of {wildcards.corpus}"
    shell:
        "avemo corpus index --cfg {params.cfg:q} --hashes {params.hashes:q}"
        " --out {output:q} > {log:q} 2>&1"


rule labels:
    input:
        index=run_index,
    output:
        labels=RESULTS / "data/labels.parquet",
        made_of=RESULTS / "data/labels.json",
    log:
        RESULTS / "logs/labels.log",
    conda:
        ENVIRONMENT
    params:
        cfg=lambda w: as_cfg(RUNS[w.run].corpus, LabelsSpec),
        files=lambda w: TRIGGERS.labels(w.run),
    message:
        "labels of {wildcards.run}"
    shell:
        "avemo corpus labels --cfg {params.cfg:q} --index {input.index:q} --files {params.files}"
        " --made-of {output.made_of:q} --out {output.labels:q} > {log:q} 2>&1"


rule splits:
    input:
        labels=RESULTS / "data/labels.parquet",
        published=lambda w: RUNS[w.run].splits.files,
    output:
        RESULTS / "data/splits.json",
    log:
        RESULTS / "logs/splits.log",
    conda:
        ENVIRONMENT
    params:
        cfg=lambda w: as_cfg(RUNS[w.run].splits),
        published=lambda w: contents(RUNS[w.run].splits.files),
    message:
        "speaker-independent splits of {wildcards.run}"
    shell:
        "avemo splits --cfg {params.cfg:q} --labels {input.labels:q} --out {output:q} > {log:q} 2>&1"
