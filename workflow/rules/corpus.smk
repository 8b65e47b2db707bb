# The clip table of each corpus; labels and splits of each run.
localrules:
    labels,
    splits,


checkpoint index:
    output:
        ANY.index,
    log:
        ANY.cache_logs / "index.log",
    benchmark:
        ANY.cache_benchmarks / "index.tsv"
    conda:
        ENVIRONMENT
    threads: 2
    params:
        cfg=lambda wildcards: as_json(corpus_part(STUDY.corpora[wildcards.corpus])),
        listing=lambda wildcards: listing(wildcards.corpus),
        hashes=str(ANY.hashes),
    message:
        "clip table of {wildcards.corpus}"
    shell:
        "avemo corpus index --cfg {params.cfg:q} --hashes {params.hashes:q}"
        " --out {output:q} > {log:q} 2>&1"


rule labels:
    input:
        index=run_index,
    output:
        labels=ANY.labels,
        made_of=ANY.labels_made_of,
    log:
        ANY.logs / "labels.log",
    conda:
        ENVIRONMENT
    params:
        cfg=lambda wildcards: as_json(corpus_part(RUNS[wildcards.run], labels=True)),
        files=label_files,
    message:
        "labels of {wildcards.run}"
    shell:
        "avemo corpus labels --cfg {params.cfg:q} --index {input.index:q} --files {params.files}"
        " --made-of {output.made_of:q} --out {output.labels:q} > {log:q} 2>&1"


rule splits:
    input:
        labels=ANY.labels,
        published=lambda wildcards: RUNS[wildcards.run]["splits"]["files"],
    output:
        ANY.splits,
    log:
        ANY.logs / "splits.log",
    conda:
        ENVIRONMENT
    params:
        cfg=lambda wildcards: as_json(RUNS[wildcards.run]["splits"]),
        published=lambda wildcards: contents(RUNS[wildcards.run]["splits"]["files"]),
    message:
        "speaker-independent splits of {wildcards.run}"
    shell:
        "avemo splits --cfg {params.cfg:q} --labels {input.labels:q} --out {output:q} > {log:q} 2>&1"
