# The clip table of each corpus; labels and splits of each run.
localrules:
    labels,
    splits,


checkpoint index:
    input:
        # Of united corpora: theirs.
        tables=united_tables,
        changed=where(lambda w: CHANGES.index(w.corpus)),
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
        hashes=str(CACHE / "hashes.json"),
    message:
        "clip table of {wildcards.corpus}"
    shell:
        "avemo corpus index --cfg {params.cfg:q} --hashes {params.hashes:q}"
        " --out {output:q} > {log:q} 2>&1"


rule labels:
    input:
        index=run_index,
        of=united_labels,
        changed=where(lambda w: CHANGES.labels(w.run)),
    output:
        RESULTS / "data/labels.parquet",
    log:
        RESULTS / "logs/labels.log",
    conda:
        ENVIRONMENT
    params:
        cfg=lambda w: as_cfg(RUNS[w.run].corpus, LabelsSpec),
        of=united_label_options,
    message:
        "labels of {wildcards.run}"
    shell:
        "avemo corpus labels --cfg {params.cfg:q} --index {input.index:q} {params.of:q}"
        " --out {output:q} > {log:q} 2>&1"


rule splits:
    input:
        labels=RESULTS / "data/labels.parquet",
        published=lambda w: RUNS[w.run].splits.files,
        changed=where(lambda w: CHANGES.splits(w.run)),
    output:
        RESULTS / "data/splits.json",
    log:
        RESULTS / "logs/splits.log",
    conda:
        ENVIRONMENT
    params:
        cfg=lambda w: as_cfg(RUNS[w.run].splits),
    message:
        "splits of {wildcards.run}"
    shell:
        "avemo splits --cfg {params.cfg:q} --labels {input.labels:q} --out {output:q} > {log:q} 2>&1"
