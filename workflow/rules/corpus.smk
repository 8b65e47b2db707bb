# The clip table, its labels, the splits.
localrules:
    labels,
    splits,


checkpoint index:
    output:
        LAYOUT.index,
    log:
        LAYOUT.logs / "index.log",
    benchmark:
        LAYOUT.benchmarks / "index.tsv"
    conda:
        ENVIRONMENT
    threads: 2
    params:
        cfg=as_json(corpus_part(RUN)),
        listing=LISTING,
        hashes=str(LAYOUT.hashes),
    message:
        "clip table of {LAYOUT.corpus}"
    shell:
        "avemo corpus index --cfg {params.cfg:q} --hashes {params.hashes:q}"
        " --out {output:q} > {log:q} 2>&1"


rule labels:
    input:
        LAYOUT.index,
    output:
        LAYOUT.labels,
    log:
        LAYOUT.logs / "labels.log",
    conda:
        ENVIRONMENT
    params:
        cfg=as_json(corpus_part(RUN, labels=True)),
    message:
        "labels"
    shell:
        "avemo corpus labels --cfg {params.cfg:q} --index {input:q} --out {output:q} > {log:q} 2>&1"


rule splits:
    input:
        LAYOUT.labels,
    output:
        LAYOUT.splits,
    log:
        LAYOUT.logs / "splits.log",
    conda:
        ENVIRONMENT
    params:
        cfg=as_json(RUN["splits"]),
    message:
        "speaker-independent splits"
    shell:
        "avemo splits --cfg {params.cfg:q} --labels {input:q} --out {output:q} > {log:q} 2>&1"
