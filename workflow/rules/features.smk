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
        component=one_of(components("audio", gpu=False)),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
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
        "{wildcards.component} of {wildcards.corpus}, shard {wildcards.shard}"
    shell:
        "avemo extract --cfg {params.cfg:q} --index {input.index:q}"
        " --shard {wildcards.shard} --shards {params.shards} --store {params.store:q}"
        " --threads {threads} --gpu-mb {resources.gpu_mb} --wait 3600 {params.strict} --out {output:q} > {log:q} 2>&1"


use rule audio_features as audio_embeddings with:
    wildcard_constraints:
        component=one_of(components("audio", gpu=True)),
    resources:
        gpu=1,
        gpu_mb=gpu_megabytes,
        mem_mb=megabytes,
        runtime=minutes,


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
        component=one_of(components("visual", gpu=True)),
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
        "{wildcards.component} of {wildcards.corpus}, shard {wildcards.shard}"
    shell:
        "avemo extract --cfg {params.cfg:q} --index {input.index:q}"
        " --faces {input.faces:q}"
        " --shard {wildcards.shard} --shards {params.shards} --store {params.store:q}"
        " --threads {threads} --gpu-mb {resources.gpu_mb} --wait 3600 {params.strict} --out {output:q} > {log:q} 2>&1"


use rule visual_features as face_pictures with:
    wildcard_constraints:
        component=one_of(components("visual", gpu=False)),
    resources:
        gpu_mb=gpu_megabytes,
        mem_mb=megabytes,
        runtime=minutes,


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
