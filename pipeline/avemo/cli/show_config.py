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
    from avemo.study.run import Section
    from avemo.study.specs import component_spec, extract_spec, index_spec, labels_spec, train_spec
    from avemo.study.study import read_study

    study = read_study(config)
    if part == "all" and not run and study.paper:
        runs = {name: one.model_dump(mode="json") for name, one in study.runs.items()}
        typer.echo(json.dumps({"paper": study.paper, "runs": runs}, indent=1))
        return
    shown = study.run(run)
    parts: dict[str, Section] = {
        "all": shown,
        "corpus": index_spec(shown),
        "labels": labels_spec(shown),
        **{stage: component_spec(shown, stage) for stage in shown.components},
        # Where weights lie a workflow says by environment; a command given by hand needs to be told.
        **{
            modality: extract_spec(shown, modality).model_copy(update={"places": feature.places})
            for modality, feature in shown.features.items()
        },
        **{system: train_spec(shown, system) for system in shown.systems},
    }
    if part not in parts:
        raise ConfigError(f"config: unknown part {part!r}{nearest(part, parts)}; known: {', '.join(parts)}")
    typer.echo(parts[part].model_dump_json(indent=1))


@config_app.command()
def schema() -> None:
    """Print the JSON schema of a run's YAML, component fields included.

    The one in the repository is ``config/schema.json``; editors check and complete a YAML by it.

    Example: avemo config schema > config/schema.json
    """
    from avemo.study.config import schema as make_schema

    typer.echo(json.dumps(make_schema(), indent=1))
