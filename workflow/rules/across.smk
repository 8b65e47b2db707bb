# Scores across corpora as a matrix, from the predictions of all runs that are in it.
localrules:
    across,


rule across:
    input:
        record=STUDY.folder / "paper.json",
        labels=[LAYOUTS[run].labels for run in STUDY.across],
        splits=[LAYOUTS[run].splits for run in STUDY.across],
        manifests=[STUDY.manifests(run, *STAGES) for run in STUDY.across],
        predictions=[
            LAYOUTS[run].predictions(system)
            for run in STUDY.across
            for system in (*RUNS[run].compared, "linear")
        ],
        # What the audits read too.
        reports=[LAYOUTS[run].report for run in STUDY.across],
        changed=where(lambda w: CHANGES.across()),
    output:
        report(
            STUDY.folder / "across.html",
            caption="../report/across.rst",
            category=str(STUDY.paper),
        ),
    log:
        STUDY.folder / "logs" / "across.log",
    conda:
        ENVIRONMENT
    params:
        folder=str(STUDY.folder),
    message:
        "{STUDY.paper} across corpora"
    shell:
        "avemo across --run {params.folder:q} > {log:q} 2>&1"
