# The config of all of a paper's runs, as it is kept.
localrules:
    paper_record,


rule paper_record:
    input:
        changed=where(lambda w: CHANGES.paper_record()),
    output:
        STUDY.folder / "paper.json",
    log:
        STUDY.folder / "logs" / "paper_record.log",
    conda:
        ENVIRONMENT
    params:
        cfg=as_cfg(STUDY.record()),
    message:
        "record of {STUDY.paper}"
    shell:
        "avemo record --cfg {params.cfg:q} --out {output:q} > {log:q} 2>&1"
