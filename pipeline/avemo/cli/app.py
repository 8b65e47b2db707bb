"""All commands, gathered."""

from __future__ import annotations

import typer

from avemo.cli import (
    audit,
    baselines,
    cache,
    corpus,
    doctor,
    exporting,
    extraction,
    finetuning,
    overview,
    predict,
    quality,
    report,
    run,
    search,
    show_config,
    training,
    weights,
)

app = typer.Typer(
    name="avemo",
    help="Audio-visual emotion recognition, from raw clips to significance tables.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    add_completion=False,
)
for module in (
    *(run, show_config, corpus, extraction, cache, training, search, baselines, finetuning, report, predict),
    *(weights, exporting, doctor, overview, quality, audit),
):
    module.register(app)
