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
    from avemo.study.kept import read_study
    from avemo.study.specs import IndexSpec, LabelsSpec, as_cfg, component_spec, extract_spec
    from avemo.training.recipe import TrainSpec

    study = read_study(config)
    if part == "all" and not run and study.paper:
        runs = {name: one.model_dump(mode="json") for name, one in study.runs.items()}
        typer.echo(json.dumps({"paper": study.paper, "runs": runs}, indent=1))
        return
    shown = study.run(run)
    parts = {
        "all": as_cfg(shown),
        "corpus": as_cfg(shown.corpus, IndexSpec),
        "labels": as_cfg(shown.corpus, LabelsSpec),
        **{stage: as_cfg(component_spec(shown, stage)) for stage in shown.components},
        # Where weights lie a workflow says by environment; a command given by hand needs to be told.
        **{
            modality: as_cfg(extract_spec(shown, modality).model_copy(update={"places": feature.places}))
            for modality, feature in shown.features.items()
        },
        **{
            name: as_cfg(system.model_copy(update={"config": system.config | system.places}), TrainSpec)
            for name, system in shown.systems.items()
        },
    }
    if part not in parts:
        raise ConfigError(f"config: unknown part {part!r}{nearest(part, parts)}; known: {', '.join(parts)}")
    typer.echo(json.dumps(json.loads(parts[part]), indent=1, ensure_ascii=False))


@config_app.command()
def schema() -> None:
    """Print the JSON schema of a run's YAML, component fields included.

    The one in the repository is ``config/schema.json``; editors check and complete a YAML by it.

    Example: avemo config schema > config/schema.json
    """
    from avemo.study.config import schema as make_schema

    typer.echo(json.dumps(make_schema(), indent=1))
