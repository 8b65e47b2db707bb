# Features, shard by shard, and the list that readers open.
localrules:
    manifest,


rule audio_features:
    input:
        index=clip_index,
    output:
        LAYOUT.shard(AUDIO, "{shard}"),
    log:
        LAYOUT.logs / "audio" / "{shard}.log",
    benchmark:
        LAYOUT.benchmarks / "audio" / "{shard}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        cfg=as_json(feature_part(RUN, "audio")),
        rows=rows,
        shards=len(SHARDS),
        strict="--strict" if RUN["strict"] else "",
        store=str(LAYOUT.store(AUDIO, "{shard}")),
    message:
        "audio features, shard {wildcards.shard}"
    shell:
        "avemo extract --cfg {params.cfg:q} --index {input.index:q}"
        " --shard {wildcards.shard} --shards {params.shards} --store {params.store:q}"
        " --threads {threads} {params.strict} --out {output:q} > {log:q} 2>&1"


rule visual_features:
    input:
        index=clip_index,
        faces=LAYOUT.shard(FACES, "{shard}"),
    output:
        LAYOUT.shard(VISUAL, "{shard}"),
    log:
        LAYOUT.logs / "visual" / "{shard}.log",
    benchmark:
        LAYOUT.benchmarks / "visual" / "{shard}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        cfg=as_json(feature_part(RUN, "visual")),
        rows=rows,
        shards=len(SHARDS),
        strict="--strict" if RUN["strict"] else "",
        store=str(LAYOUT.store(VISUAL, "{shard}")),
    message:
        "visual features, shard {wildcards.shard}"
    shell:
        "avemo extract --cfg {params.cfg:q} --index {input.index:q}"
        " --faces {input.faces:q}"
        " --shard {wildcards.shard} --shards {params.shards} --store {params.store:q}"
        " --threads {threads} {params.strict} --out {output:q} > {log:q} 2>&1"


rule manifest:
    input:
        lambda wildcards: shards_of(wildcards.component),
    output:
        LAYOUT.manifest("{component}"),
    log:
        LAYOUT.logs / "manifest-{component}.log",
    conda:
        ENVIRONMENT
    message:
        "manifest of {wildcards.component}"
    shell:
        "avemo cache manifest --component {wildcards.component} --out {output:q} {input:q} > {log:q} 2>&1"
