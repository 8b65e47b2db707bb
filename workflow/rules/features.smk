# Features, shard by shard, and the list that readers open.
localrules:
    manifest,


use rule faces as audio_features with:
    wildcard_constraints:
        component=one_of(
            STUDY.component_ids("audio", gpu=False)
            | STUDY.component_ids("visual", gpu=False, faceless=True)
        ),
    resources:
        gpu_mb=gpu_megabytes,
        mem_mb=megabytes,
        runtime=minutes,
    params:
        command="extract",


use rule audio_features as audio_embeddings with:
    wildcard_constraints:
        component=one_of(
            STUDY.component_ids("audio", gpu=True)
            | STUDY.component_ids("visual", gpu=True, faceless=True)
        ),
    resources:
        gpu=1,
        gpu_mb=gpu_megabytes,
        mem_mb=megabytes,
        runtime=minutes,


use rule faces as visual_features with:
    input:
        index=clip_index,
        before=face_record,
        changed=where(lambda w: CHANGES.shard(w.corpus, w.component, w.shard)),
    wildcard_constraints:
        component=one_of(STUDY.component_ids("visual", gpu=True, faceless=False)),
    resources:
        gpu=1,
        gpu_mb=gpu_megabytes,
        mem_mb=megabytes,
        runtime=minutes,
    params:
        command="extract",
        before=face_options,


use rule visual_features as face_pictures with:
    wildcard_constraints:
        component=one_of(STUDY.component_ids("visual", gpu=False, faceless=False)),
    resources:
        gpu_mb=gpu_megabytes,
        mem_mb=megabytes,
        runtime=minutes,


rule manifest:
    input:
        shards=component_records,
        changed=where(lambda w: CHANGES.manifest(w.corpus, w.component)),
    output:
        CACHE / "{component}/manifest.json",
    log:
        CACHE / "logs/{component}/manifest.log",
    conda:
        ENVIRONMENT
    params:
        shards=manifest_arguments,
    message:
        "manifest of {wildcards.corpus}/{wildcards.component}"
    shell:
        "avemo cache manifest --component {wildcards.component} --out {output:q} {params.shards:q} > {log:q} 2>&1"
