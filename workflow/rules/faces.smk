# One face track a clip, and its crops where the config keeps them, shard by shard.
# `faces` is the base of all rules that fill a cache: each computes what its own shard lacks.
rule faces:
    input:
        index=clip_index,
        before=[],
    output:
        CACHE / "{component}/{shard}.h5",
    log:
        CACHE / "logs/{component}/{shard}.log",
    benchmark:
        CACHE / "benchmarks/{component}/{shard}.tsv"
    wildcard_constraints:
        component=one_of(STUDY.component_ids("faces")),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        gpu=1,
        gpu_mb=gpu_megabytes,
        mem_mb=megabytes,
        runtime=minutes,
    params:
        command="faces track",
        cfg=lambda w: as_cfg(STUDY.component_spec(w.corpus, w.component)),
        clips=lambda w: TRIGGERS.clips(w.corpus, w.shard),
        shards=shards,
        strict=lambda w: "--strict" if STUDY.strict(w.corpus) else "",
        store=str(CACHE / ".store/{component}/{shard}"),
        before="",
        gpu=lambda w, resources: f"--gpu-mb {resources.gpu_mb}",
    message:
        "{params.command} in {wildcards.corpus}, shard {wildcards.shard}"
    shell:
        "avemo {params.command} --cfg {params.cfg:q} --index {input.index:q} {params.before} {input.before:q}"
        " --shard {wildcards.shard} --shards {params.shards} --store {params.store:q}"
        " --threads {threads} {params.gpu} --wait 3600 {params.strict} --out {output:q} > {log:q} 2>&1"


use rule faces as crops with:
    input:
        index=clip_index,
        before=face_shard,
    wildcard_constraints:
        component=one_of(STUDY.component_ids("crops")),
    resources:
        mem_mb=megabytes,
        runtime=minutes,
    params:
        command="faces crops",
        before="--faces",
        gpu="",
