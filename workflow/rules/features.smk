# Features, shard by shard, and the list that readers open.
localrules:
    manifest,


rule audio_features:
    input:
        index=clip_index,
    output:
        ANY.shard("{component}", "{shard}"),
    log:
        ANY.cache_logs / "{component}" / "{shard}.log",
    benchmark:
        ANY.cache_benchmarks / "{component}" / "{shard}.tsv"
    wildcard_constraints:
        component=one_of(components("audio")),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        cfg=component_cfg,
        rows=rows,
        shards=shards,
        strict=strict,
        store=str(ANY.store("{component}", "{shard}")),
    message:
        "{wildcards.component} of {wildcards.corpus}, shard {wildcards.shard}"
    shell:
        "avemo extract --cfg {params.cfg:q} --index {input.index:q}"
        " --shard {wildcards.shard} --shards {params.shards} --store {params.store:q}"
        " --threads {threads} {params.strict} --out {output:q} > {log:q} 2>&1"


rule visual_features:
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
        component=one_of(components("visual")),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        cfg=component_cfg,
        rows=rows,
        shards=shards,
        strict=strict,
        store=str(ANY.store("{component}", "{shard}")),
    message:
        "{wildcards.component} of {wildcards.corpus}, shard {wildcards.shard}"
    shell:
        "avemo extract --cfg {params.cfg:q} --index {input.index:q}"
        " --faces {input.faces:q}"
        " --shard {wildcards.shard} --shards {params.shards} --store {params.store:q}"
        " --threads {threads} {params.strict} --out {output:q} > {log:q} 2>&1"


rule manifest:
    input:
        component_shards,
    output:
        ANY.manifest("{component}"),
    log:
        ANY.cache_logs / "{component}" / "manifest.log",
    conda:
        ENVIRONMENT
    message:
        "manifest of {wildcards.corpus}/{wildcards.component}"
    shell:
        "avemo cache manifest --component {wildcards.component} --out {output:q} {input:q} > {log:q} 2>&1"
