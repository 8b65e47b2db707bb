# One face track a clip, and its crops where the config keeps them, shard by shard.
rule faces:
    input:
        index=clip_index,
    output:
        ANY.shard("{component}", "{shard}"),
    log:
        ANY.cache_logs / "{component}" / "{shard}.log",
    benchmark:
        ANY.cache_benchmarks / "{component}" / "{shard}.tsv"
    wildcard_constraints:
        component=one_of(components("faces")),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        gpu=1,
        gpu_mb=gpu_megabytes,
        mem_mb=megabytes,
        runtime=minutes,
    params:
        cfg=component_cfg,
        rows=rows,
        shards=shards,
        strict=strict,
        store=str(ANY.store("{component}", "{shard}")),
    message:
        "face tracks of {wildcards.corpus}, shard {wildcards.shard}"
    shell:
        "avemo faces track --cfg {params.cfg:q} --index {input.index:q}"
        " --shard {wildcards.shard} --shards {params.shards} --store {params.store:q}"
        " --threads {threads} --gpu-mb {resources.gpu_mb} --wait 3600 {params.strict} --out {output:q} > {log:q} 2>&1"


if components("crops"):

    rule crops:
        input:
            index=clip_index,
            faces=face_shard,
        output:
            ANY.shard("{component}", "{shard}"),
        log:
            ANY.cache_logs / "{component}" / "{shard}.log",
        benchmark:
            ANY.cache_benchmarks / "{component}" / "{shard}.tsv"
        wildcard_constraints:
            component=one_of(components("crops")),
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=megabytes,
            runtime=minutes,
        params:
            cfg=component_cfg,
            rows=rows,
            shards=shards,
            strict=strict,
            store=str(ANY.store("{component}", "{shard}")),
        message:
            "face crops of {wildcards.corpus}, shard {wildcards.shard}"
        shell:
            "avemo faces crops --cfg {params.cfg:q} --index {input.index:q}"
            " --faces {input.faces:q}"
            " --shard {wildcards.shard} --shards {params.shards} --store {params.store:q}"
            " --threads {threads} --wait 3600 {params.strict} --out {output:q} > {log:q} 2>&1"
