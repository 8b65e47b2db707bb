"""Corpus commands: index, labels, miniature, examples; `avemo.cli.corpus_check` has check."""

from __future__ import annotations

from collections import Counter as Tally
from pathlib import Path
from typing import Annotated, Any

import typer

from avemo.cli.corpus_check import check, clip_notes, shown_counts
from avemo.cli.options import Cfg, Counter, Index, Out, Settings, as_mapping, as_spec
from avemo.cli.united import tell_labels, united_index, united_labels

corpus_app = typer.Typer(help="Clip tables and labels.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(corpus_app, name="corpus")


@corpus_app.command()
def index(
    cfg: Cfg,
    out: Out,
    hashes: Annotated[Path, typer.Option(help="Remembered file hashes (JSON).")],
    settings: Settings = "{}",
) -> None:
    """Make the clip table: one checked row a clip.

    Example: avemo corpus index --cfg corpus.json --hashes hashes.json --out index.parquet
    """
    from avemo.base.contracts import AvemoError, Status
    from avemo.base.made_of import made_of, write_made
    from avemo.index.clip_table import index_clips, read_table, write_table
    from avemo.index.media_hashes import HashCache, fingerprint, is_media
    from avemo.index.same_media import same_media, told
    from avemo.index.source import require_same_source, source_of
    from avemo.study import specs
    from avemo.study.losses import losses
    from avemo.study.resolve import corpus_of
    from avemo.study.stage_code import corpus_code
    from avemo.study.triggers import keep_sums

    spec = as_spec(specs.IndexSpec, cfg)
    if spec.parts:
        united_index(spec, as_mapping(cfg), out)
        return
    given = as_spec(specs.Settings, settings, "--settings")
    corpus = corpus_of(spec, given.speed.get(spec.id))
    require_same_source(corpus, out, spec.id)
    out.parent.mkdir(parents=True, exist_ok=True)
    corpus.prepare(Counter("prepared clips"))
    known = HashCache(hashes)
    for path in corpus.all_files():
        # The corpus' tables; media that no clip uses are not worth reading.
        if path.is_file() and not is_media(path):
            known.sha256(path)
    clips = corpus.clips()
    lost = losses(read_table(out), clips) if made_of(out) and out.is_file() else []
    rows = index_clips(clips, known, Counter("indexed clips"))
    if rows and all(row.status in (Status.missing_file, Status.no_access) for row in rows):
        # Such a table would take from the caches all that was computed.
        raise AvemoError(f"{rows[0].problem}; all {len(rows)} clips of {spec.id} lack theirs: mount them")
    read = {"files": fingerprint(corpus, known), **source_of(corpus, out)}
    known.keep_synthetic(corpus.synthetic)
    known.save()
    write_made(
        out, lambda path: write_table(path, rows), as_mapping(cfg), read, corpus_code("index", spec.name)
    )
    if spec.id in given.shards:
        keep_sums(out, given.shards[spec.id])
    typer.echo(f"{len(rows)} clips: {_statuses(rows)}")
    for row in rows:
        if row.problem:
            typer.echo(str(row.problem))
    for note in [*lost, *clip_notes(rows), *corpus.notes(), *told(same_media(rows))]:
        typer.echo(f"note: {note}")


def _statuses(rows: list[Any]) -> str:
    tally = Tally(row.status for row in rows)
    return ", ".join(f"{count} {status}" for status, count in tally.most_common()) or "none"


@corpus_app.command()
def labels(
    cfg: Cfg,
    index: Index,
    out: Out,
    of: Annotated[
        list[str] | None, typer.Option(help="CORPUS=LABELS of each that united ones are of; again for each.")
    ] = None,
) -> None:
    """Give each clip of the table its label by the config's rule.

    Example: avemo corpus labels --cfg labels.json --index index.parquet --out labels.parquet
    """
    from avemo.base.made_of import checked, write_made
    from avemo.dataset.labels import make_labels, save_labels
    from avemo.index.clip_table import read_table
    from avemo.index.same_media import joined_groups, same_media, told
    from avemo.study.file_contents import contents
    from avemo.study.resolve import corpus_of
    from avemo.study.specs import LabelsSpec
    from avemo.study.stage_code import corpus_code

    spec = as_spec(LabelsSpec, cfg)
    if spec.parts:
        united_labels(spec, as_mapping(cfg), index, of or [], out)
        return
    corpus = corpus_of(spec)
    read = {"index": checked(index), "label_files": contents(corpus.label_files())}
    rows = read_table(index)
    clips, sets = [row.clip for row in rows], same_media(rows)
    kept_with = joined_groups(rows, sets)
    made = make_labels(clips, corpus.labels(clips), corpus.task, corpus.classes, kept_with)
    code = corpus_code("labels", spec.name)
    write_made(out, lambda path: save_labels(made, path), as_mapping(cfg), read, code)
    tell_labels(made, told(sets))


@corpus_app.command()
def miniature(
    name: Annotated[str, typer.Argument(help="A corpus; an unknown name lists them.")],
    out: Annotated[Path, typer.Option(help="A folder of its own.")],
    speakers: Annotated[
        int | None, typer.Option(min=3, help="People, default as few as its splits need.")
    ] = None,
) -> None:
    """Generate a corpus' layout and names with drawn faces and synthetic voices, about a second a clip.

    The folder says that it is synthetic, and so does every report made from it.

    Example: avemo corpus miniature msp_improv --out data/mini/msp_improv
    """
    from avemo.synthetic.miniatures import MINIATURES

    given = {} if speakers is None else {"speakers": speakers}
    MINIATURES.load(name)(out, progress=Counter("generated"), **given)
    typer.echo(str(out))


@corpus_app.command()
def examples(
    name: Annotated[str, typer.Argument(help="A corpus to fine-tune on; an unknown name lists them.")],
    root: Annotated[Path, typer.Option(help="The corpus' folder.")],
    out: Out,
) -> None:
    """Make the table that a network behind an extractor is fine-tuned on: path, target, split.

    Example: avemo corpus examples msp_podcast --root data/MSP-Podcast --out data/msp_podcast.csv
    """
    from avemo.corpora import EXAMPLES
    from avemo.corpora.examples import write_examples

    found = EXAMPLES.load(name)(root)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_examples(out, found)
    typer.echo(f"{len(found.rows)} rows: {shown_counts(found.splits)}")
    typer.echo(f"left out: {shown_counts(found.left_out)}")
    for path in found.missing:
        typer.echo(f"{path}: expected a file, found none")
    raise typer.Exit(3 if found.missing else 0)


corpus_app.command()(check)
