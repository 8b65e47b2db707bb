# One face track a clip, shard by shard.
rule faces:
    input:
        index=clip_index,
    output:
        LAYOUT.shard(FACES, "{shard}"),
    log:
        LAYOUT.logs / "faces" / "{shard}.log",
    benchmark:
        LAYOUT.benchmarks / "faces" / "{shard}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        cfg=as_json(feature_part(RUN, "faces")),
        rows=rows,
        shards=len(SHARDS),
        strict="--strict" if RUN["strict"] else "",
        store=str(LAYOUT.store(FACES, "{shard}")),
    message:
        "face tracks, shard {wildcards.shard}"
    shell:
        "avemo faces track --cfg {params.cfg:q} --index {input.index:q}"
        " --shard {wildcards.shard} --shards {params.shards} --store {params.store:q}"
        " --threads {threads} {params.strict} --out {output:q} > {log:q} 2>&1"
