"""Corpus commands: check, index, labels."""

from __future__ import annotations

import json
from collections import Counter as Tally
from collections.abc import Mapping
from mimetypes import guess_type
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.cli.options import Cfg, Counter, Index, Out, Run, Speed, as_mapping, write_aside

corpus_app = typer.Typer(help="Clip tables and labels.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(corpus_app, name="corpus")


@corpus_app.command()
def index(
    cfg: Cfg,
    out: Out,
    hashes: Annotated[Path, typer.Option(help="Remembered file hashes (JSON).")],
    speed: Speed = "{}",
) -> None:
    """Make the clip table: one checked row a clip.

    Example: avemo corpus index --cfg corpus.json --hashes hashes.json --out index.parquet
    """
    from pipeline.clip_table import index_clips, write_table
    from pipeline.config import corpus_of
    from pipeline.corpora.hashes import HashCache

    part = as_mapping(cfg)
    corpus = corpus_of(part | {"speed": as_mapping(speed).get(part["id"], {})})
    out.parent.mkdir(parents=True, exist_ok=True)
    corpus.prepare(Counter("prepared clips"))
    known = HashCache(hashes)
    rows = index_clips(corpus.clips(), known, Counter("indexed clips"))
    for path in corpus.all_files():
        # The corpus' tables; media that no clip uses are not worth reading.
        if path.is_file() and not (guess_type(path)[0] or "").startswith(("audio/", "video/")):
            known.sha256(path)
    known.save()
    write_table(out, rows)
    typer.echo(f"{len(rows)} clips: {_statuses(rows)}")
    for row in rows:
        if row.problem:
            typer.echo(str(row.problem))


def _shown(label: str | Mapping[str, float] | None) -> str:
    return "none" if label is None else label if isinstance(label, str) else "numbers"


def _statuses(rows: list[Any]) -> str:
    tally = Tally(row.status for row in rows)
    return ", ".join(f"{count} {status}" for status, count in tally.most_common()) or "none"


@corpus_app.command()
def labels(cfg: Cfg, index: Index, out: Out) -> None:
    """Give each clip of the table its label by the config's rule.

    Example: avemo corpus labels --cfg labels.json --index index.parquet --out labels.parquet
    """
    from pipeline.clip_table import read_table
    from pipeline.config import corpus_of
    from pipeline.dataset.labels import make_labels, save_labels

    corpus = corpus_of(as_mapping(cfg))
    clips = [row.clip for row in read_table(index)]
    made = make_labels(clips, corpus.labels(clips), corpus.task, corpus.classes)
    write_aside(out, lambda path: save_labels(made, path))
    typer.echo(made.counts().to_string(index=False))
    for clip_id, reason in made.table.loc[made.table.reason != "", ["clip_id", "reason"]].itertuples(
        index=False
    ):
        typer.echo(f"{clip_id}: {reason}")


@corpus_app.command()
def check(
    config: Annotated[Path, typer.Option("--config", help="A run's YAML.")] = Path("config/config.yaml"),
    run: Run = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say in one screen whether a corpus folder is right, and what is wrong with it.

    Example: avemo corpus check --config config/corpora/crema_d.yaml
    """
    from pipeline.clip_table import index_clips
    from pipeline.config import corpus_of
    from pipeline.study import read_study

    corpus = corpus_of(read_study(config).run(run))
    rows = index_clips(corpus.clips(), _NoHashes(), Counter("checked clips"))
    given = corpus.labels([row.clip for row in rows])
    problems = [str(row.problem) for row in rows if row.problem]
    summary = {
        "corpus": corpus.name,
        "clips": len(rows),
        "speakers": len({row.speaker for row in rows}),
        "statuses": dict(Tally(row.status for row in rows)),
        "labels": dict(Tally(_shown(label.label) for label in given)),
        "hours": round(sum(row.duration_s or 0 for row in rows) / 3600, 2),
        "problems": problems,
    }
    if as_json:
        typer.echo(json.dumps(summary, indent=1))
    else:
        for name, value in summary.items():
            if name != "problems":
                typer.echo(f"{name:10} {value}")
        for problem in problems[:20]:
            typer.echo(problem)
        if len(problems) > 20:
            typer.echo(f"... and {len(problems) - 20} more; --json lists all")
    raise typer.Exit(3 if problems else 0)


@corpus_app.command()
def miniature(
    name: Annotated[str, typer.Argument(help="crema_d, msp_improv, cmu_mosei, msp_podcast or affectnet.")],
    out: Annotated[Path, typer.Option(help="A folder of its own.")],
    speakers: Annotated[
        int | None, typer.Option(min=3, help="People, default as few as its splits need.")
    ] = None,
) -> None:
    """Generate a corpus' layout and names with drawn faces and synthetic voices, about a second a clip.

    The folder says that it is synthetic, and so does every report made from it.

    Example: avemo corpus miniature msp_improv --out data/mini/msp_improv
    """
    from pipeline.corpora.miniature import MINIATURES

    given = {} if speakers is None else {"speakers": speakers}
    MINIATURES.load(name)(out, progress=Counter("generated"), **given)
    typer.echo(str(out))


class _NoHashes:
    """A check need not read every byte."""

    def sha256(self, path: Path) -> str:
        return ""
