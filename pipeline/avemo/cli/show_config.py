"""Config commands: show, schema."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from avemo.cli.options import DEFAULT_CONFIG, ConfigFile, Run

config_app = typer.Typer(help="A run's configuration.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(config_app, name="config")


@config_app.command()
def show(
    config: ConfigFile = DEFAULT_CONFIG,
    part: Annotated[
        str, typer.Option(help="all, corpus, labels, faces, crops, audio, visual, or a system's name.")
    ] = "all",
    run: Run = "",
) -> None:
    """Print the checked config with every default filled in, or the part one stage depends on.

    Example: avemo config show --part audio > audio.json
    """
    from avemo.base.contracts import ConfigError
    from avemo.base.registry import nearest
    from avemo.study.config import corpus_part, feature_part, train_part
    from avemo.study.study import components_of, read_study

    study = read_study(config)
    if part == "all" and not run and study.paper:
        typer.echo(json.dumps({"paper": study.paper, "runs": study.runs}, indent=1))
        return
    resolved = study.run(run)
    parts = {
        "all": resolved,
        "corpus": corpus_part(resolved),
        "labels": corpus_part(resolved, labels=True),
        **{stage: feature_part(resolved, stage) for stage in components_of(resolved)},
        **{
            stage: feature_part(resolved, stage) | {"places": resolved["features"][stage].get("places", {})}
            for stage in resolved["features"]
        },
        **{system: train_part(resolved, system) for system in resolved["systems"]},
    }
    if part not in parts:
        raise ConfigError(f"config: unknown part {part!r}{nearest(part, parts)}; known: {', '.join(parts)}")
    typer.echo(json.dumps(parts[part], indent=1))


@config_app.command()
def schema() -> None:
    """Print the JSON schema of a run's YAML, component fields included.

    Example: avemo config schema > schema.json
    """
    from avemo.study.config import schema as make_schema

    typer.echo(json.dumps(make_schema(), indent=1))
