# One face track a clip, and its crops where the config keeps them, shard by shard.
# `faces` is the base of all rules that fill a cache: each computes what its own shard lacks.
# The output is the shard's record. Snakemake takes away the outputs of a job that begins or fails, but others may be
# reading the shard: its job alone replaces it. The record, too, stays (`update`), as they wait for their inputs.
rule faces:
    input:
        index=clip_index,
        before=[],
        changed=where(lambda w: CHANGES.shard(w.corpus, w.component, w.shard)),
    output:
        update(str(CACHE / "{component}/{shard}.made.json")),
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
        shards=shards,
        strict=lambda w: "--strict" if STUDY.strict(w.corpus) else "",
        store=str(CACHE / ".store/{component}/{shard}"),
        before=[],
        out=str(CACHE / "{component}/{shard}.h5"),
        gpu=lambda w, resources: f"--gpu-mb {resources.gpu_mb}",
    message:
        "{params.command} in {wildcards.corpus}, shard {wildcards.shard}"
    shell:
        "avemo {params.command} --cfg {params.cfg:q} --index {input.index:q} {params.before:q}"
        " --shard {wildcards.shard} --shards {params.shards} --store {params.store:q}"
        " --threads {threads} {params.gpu} --wait 3600 {params.strict} --out {params.out:q} > {log:q} 2>&1"


use rule faces as crops with:
    input:
        index=clip_index,
        before=face_record,
        changed=where(lambda w: CHANGES.shard(w.corpus, w.component, w.shard)),
    wildcard_constraints:
        component=one_of(STUDY.component_ids("crops")),
    resources:
        mem_mb=megabytes,
        runtime=minutes,
    params:
        command="faces crops",
        before=face_options,
        gpu="",
