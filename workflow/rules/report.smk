# Significance, tables, and the page.
localrules:
    tests,
    contact_sheet,
    run_config,
    write_tables,
    report,


rule tests:
    input:
        scores=lambda wildcards: [
            LAYOUTS[wildcards.run].scores(system)
            for system in compared_systems(RUNS[wildcards.run])
        ],
        baselines=ANY.scores("baselines"),
        splits=ANY.splits,
    output:
        ANY.tests,
    log:
        ANY.logs / "tests.log",
    conda:
        ENVIRONMENT
    params:
        cfg=lambda wildcards: as_json(RUNS[wildcards.run]["tests"]),
    message:
        "significance tests of {wildcards.run}"
    shell:
        "avemo tests --cfg {params.cfg:q} --splits {input.splits:q}"
        " --baselines {input.baselines:q} --out {output:q} {input.scores:q} > {log:q} 2>&1"


rule quality:
    input:
        index=lambda wildcards: LAYOUTS[wildcards.run].index,
        stages=lambda wildcards: manifests(wildcards.run, "faces", "audio", "visual"),
    output:
        ANY.quality,
    log:
        ANY.logs / "quality.log",
    conda:
        ENVIRONMENT
    params:
        stages=lambda wildcards: stage_options(wildcards, "faces", "audio", "visual"),
    message:
        "quality of the clips of {wildcards.run}"
    shell:
        "avemo cache quality --index {input.index:q} {params.stages:q} --out {output:q} > {log:q} 2>&1"


rule contact_sheet:
    input:
        index=lambda wildcards: LAYOUTS[wildcards.run].index,
        faces=lambda wildcards: manifests(wildcards.run, "faces"),
        quality=ANY.quality,
    output:
        ANY.sheet,
    log:
        ANY.logs / "contact_sheet.log",
    conda:
        ENVIRONMENT
    message:
        "contact sheet of {wildcards.run}"
    shell:
        "avemo faces sheet --index {input.index:q} --faces {input.faces:q}"
        " --quality {input.quality:q} --out {output:q} > {log:q} 2>&1"


rule run_config:
    output:
        ANY.config,
    log:
        ANY.logs / "run_config.log",
    conda:
        ENVIRONMENT
    params:
        cfg=lambda wildcards: as_json(report_part(RUNS[wildcards.run])),
    message:
        "config of {wildcards.run}"
    shell:
        "avemo record --cfg {params.cfg:q} --out {output:q} > {log:q} 2>&1"


rule write_tables:
    input:
        unpack(records),
    output:
        ANY.table_files,
    log:
        ANY.logs / "tables.log",
    conda:
        ENVIRONMENT
    params:
        run=lambda wildcards: str(LAYOUTS[wildcards.run].results),
    message:
        "tables of {wildcards.run}"
    shell:
        "avemo tables --run {params.run:q} > {log:q} 2>&1"


rule report:
    input:
        unpack(records),
        tables=ANY.table_files,
        sheet=lambda wildcards: sheets(wildcards.run),
    output:
        ANY.report,
    log:
        ANY.logs / "report.log",
    conda:
        ENVIRONMENT
    params:
        run=lambda wildcards: str(LAYOUTS[wildcards.run].results),
    message:
        "report of {wildcards.run}"
    shell:
        "avemo report --run {params.run:q} --out {output:q} > {log:q} 2>&1"
