# Significance, tables, and the page.
localrules:
    tests,
    contact_sheet,
    run_config,
    report,


rule tests:
    input:
        scores=lambda w: [LAYOUTS[w.run].scores(one) for one in RUNS[w.run].compared],
        baselines=RESULTS / "scores/baselines.csv",
        linear=RESULTS / "scores/linear.csv",
        splits=RESULTS / "data/splits.json",
        changed=where(lambda w: CHANGES.tests(w.run)),
    output:
        RESULTS / "scores/tests.csv",
    log:
        RESULTS / "logs/tests.log",
    conda:
        ENVIRONMENT
    params:
        cfg=lambda w: as_cfg(RUNS[w.run].tests),
    message:
        "significance tests of {wildcards.run}"
    shell:
        "avemo tests --cfg {params.cfg:q} --splits {input.splits:q}"
        " --baselines {input.baselines:q} --linear {input.linear:q} --out {output:q} {input.scores:q} > {log:q} 2>&1"


rule quality:
    input:
        index=lambda w: LAYOUTS[w.run].index,
        stages=lambda w: STUDY.manifests(w.run, "faces", "audio", "visual"),
        changed=where(lambda w: CHANGES.quality(w.run)),
    output:
        RESULTS / "data/quality.csv",
    log:
        RESULTS / "logs/quality.log",
    conda:
        ENVIRONMENT
    params:
        stages=lambda w: STUDY.manifest_options(w.run, "faces", "audio", "visual"),
    message:
        "quality of the clips of {wildcards.run}"
    shell:
        "avemo cache quality --index {input.index:q} {params.stages:q} --out {output:q} > {log:q} 2>&1"


rule contact_sheet:
    input:
        index=lambda w: LAYOUTS[w.run].index,
        faces=lambda w: STUDY.manifests(w.run, "faces"),
        quality=RESULTS / "data/quality.csv",
        changed=where(lambda w: CHANGES.sheet(w.run)),
    output:
        RESULTS / "data/contact_sheet.png",
    log:
        RESULTS / "logs/contact_sheet.log",
    conda:
        ENVIRONMENT
    message:
        "contact sheet of {wildcards.run}"
    shell:
        "avemo faces sheet --index {input.index:q} --faces {input.faces:q}"
        " --quality {input.quality:q} --out {output:q} > {log:q} 2>&1"


rule run_config:
    input:
        changed=where(lambda w: CHANGES.config(w.run)),
    output:
        RESULTS / "config.json",
    log:
        RESULTS / "logs/run_config.log",
    conda:
        ENVIRONMENT
    params:
        cfg=lambda w: as_cfg(RUNS[w.run].record()),
    message:
        "config of {wildcards.run}"
    shell:
        "avemo record --cfg {params.cfg:q} --out {output:q} > {log:q} 2>&1"


rule report:
    input:
        config=RESULTS / "config.json",
        labels=RESULTS / "data/labels.parquet",
        splits=RESULTS / "data/splits.json",
        tests=RESULTS / "scores/tests.csv",
        quality=RESULTS / "data/quality.csv",
        manifests=lambda w: STUDY.manifests(w.run, *STAGES),
        scores=of_systems(str(RESULTS / "scores/{system}.csv")),
        baselines=RESULTS / "scores/baselines.csv",
        linear=RESULTS / "scores/linear.csv",
        fits=RESULTS / "scores/linear_fits.json",
        predictions=of_systems(str(RESULTS / "predictions/{system}.parquet")),
        sheet=lambda w: sheets(w.run),
        changed=where(lambda w: CHANGES.report(w.run)),
    output:
        csv=tables("csv"),
        tex=tables("tex"),
        html=report(
            tables("html"),
            caption="../report/table.rst",
            category="{run}",
            subcategory="tables",
        ),
        page=report(
            RESULTS / "report.html",
            caption="../report/page.rst",
            category="{run}",
            subcategory="page",
        ),
        figures=report(
            directory(RESULTS / "figures"),
            patterns=["{figure}.svg"],
            caption="../report/figure.rst",
            category="{run}",
            subcategory="figures",
        ),
    log:
        RESULTS / "logs/report.log",
    conda:
        ENVIRONMENT
    params:
        run=lambda w: str(LAYOUTS[w.run].results),
    message:
        "report of {wildcards.run}"
    shell:
        "avemo report --run {params.run:q} --out {output.page:q} > {log:q} 2>&1"
