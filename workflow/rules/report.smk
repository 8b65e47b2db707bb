# Significance, tables, and the page.
localrules:
    tests,
    contact_sheet,
    run_config,
    write_tables,
    report,


rule tests:
    input:
        scores=[LAYOUT.scores(system) for system in SYSTEMS],
        baselines=LAYOUT.scores("baselines"),
        splits=LAYOUT.splits,
    output:
        LAYOUT.tests,
    log:
        LAYOUT.logs / "tests.log",
    conda:
        ENVIRONMENT
    params:
        cfg=as_json(RUN["tests"]),
    message:
        "significance tests"
    shell:
        "avemo tests --cfg {params.cfg:q} --splits {input.splits:q}"
        " --baselines {input.baselines:q} --out {output:q} {input.scores:q} > {log:q} 2>&1"


rule contact_sheet:
    input:
        index=LAYOUT.index,
        faces=LAYOUT.manifest(FACES),
    output:
        LAYOUT.sheet,
    log:
        LAYOUT.logs / "contact_sheet.log",
    conda:
        ENVIRONMENT
    message:
        "contact sheet of faces"
    shell:
        "avemo faces sheet --index {input.index:q} --faces {input.faces:q} --out {output:q} > {log:q} 2>&1"


rule run_config:
    output:
        LAYOUT.config,
    log:
        LAYOUT.logs / "run_config.log",
    conda:
        ENVIRONMENT
    params:
        cfg=as_json(report_part(RUN)),
    message:
        "the run's config"
    shell:
        "avemo record --cfg {params.cfg:q} --out {output:q} > {log:q} 2>&1"


# What tables and report read; the run's own config tells them where it lies.
RECORDS = {
    "config": LAYOUT.config,
    "labels": LAYOUT.labels,
    "splits": LAYOUT.splits,
    "tests": LAYOUT.tests,
    "manifests": [LAYOUT.manifest(component) for component in COMPONENTS],
    "scores": [LAYOUT.scores(system) for system in (*SYSTEMS, "baselines")],
    "predictions": [LAYOUT.predictions(system) for system in SYSTEMS],
    "records": [
        LAYOUT.trained(system, split) / "run.json"
        for system in SYSTEMS
        for split in SPLITS
    ],
}


rule write_tables:
    input:
        **RECORDS,
    output:
        LAYOUT.table_files,
    log:
        LAYOUT.logs / "tables.log",
    conda:
        ENVIRONMENT
    params:
        run=lambda wildcards, input: Path(input.config).parent,
    message:
        "tables"
    shell:
        "avemo tables --run {params.run:q} > {log:q} 2>&1"


rule report:
    input:
        **RECORDS,
        tables=LAYOUT.table_files,
        sheet=LAYOUT.sheet,
    output:
        LAYOUT.report,
    log:
        LAYOUT.logs / "report.log",
    conda:
        ENVIRONMENT
    params:
        run=lambda wildcards, input: Path(input.config).parent,
    message:
        "report"
    shell:
        "avemo report --run {params.run:q} --out {output:q} > {log:q} 2>&1"
