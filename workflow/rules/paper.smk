# A paper's tables beside ours, from the records of all its runs.
localrules:
    paper_tables,


rule paper_tables:
    input:
        record=STUDY.folder / "paper.json",
        labels=[layout.labels for layout in LAYOUTS.values()],
        splits=[layout.splits for layout in LAYOUTS.values()],
        manifests=[STUDY.manifests(run, *STAGES) for run in RUNS],
        scores=[
            LAYOUTS[run].scores(system) for run in RUNS for system in RUNS[run].systems
        ],
        changed=where(lambda w: CHANGES.paper()),
    output:
        [path for path in STUDY.table_files if path.suffix != ".html"],
        report(
            [path for path in STUDY.table_files if path.suffix == ".html"],
            caption="../report/paper.rst",
            category=str(STUDY.paper),
        ),
    log:
        STUDY.folder / "logs" / "paper_tables.log",
    conda:
        ENVIRONMENT
    params:
        folder=str(STUDY.folder),
    message:
        "tables of {STUDY.paper}"
    shell:
        "avemo tables --run {params.folder:q} > {log:q} 2>&1"
