"""Cache commands: manifest for the workflow; ls and verify for people."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from functools import reduce
from pathlib import Path
from typing import Annotated

import typer

from avemo.cli.options import Out
from avemo.cli.united import united_manifest

cache_app = typer.Typer(help="Feature stores.", no_args_is_help=True)
Folder = Annotated[Path, typer.Argument(help="A corpus' folder under the cache, or the cache itself.")]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]


class Form(StrEnum):
    """Formats of an export."""

    numpy = "numpy"
    parquet = "parquet"


def register(app: typer.Typer) -> None:
    app.add_typer(cache_app, name="cache")


@cache_app.command()
def manifest(
    component: Annotated[str, typer.Option(help="What the shards hold.")],
    out: Out,
    shards: Annotated[list[Path] | None, typer.Argument(help="Published shards.")] = None,
    corpus: Annotated[
        list[str] | None,
        typer.Option(help="In place of shards: a corpus of the same cache that is read too; again for each."),
    ] = None,
) -> None:
    """List a component's shards with a fingerprint of what they hold; nothing is merged or copied.

    Example: avemo cache manifest --component compare_lld --out manifest.json 0000.h5 0001.h5
    """
    from avemo.base.code import mixed
    from avemo.base.contracts import ConfigError
    from avemo.base.made_of import made_of, note
    from avemo.cache.manifest import write_manifest
    from avemo.cache.shard import Shard

    if bool(shards) == bool(corpus):
        raise ConfigError("config: expected shards, or --corpus for each of several; give one of the two")
    if corpus:
        united_manifest(out, corpus)
        return
    shards = list(shards or ())
    with Shard(shards[0]) as first:
        info = first.info
    manifest = write_manifest(out, shards, component, info)
    read = {path.stem: found for path, found in zip(shards, manifest["fingerprints"], strict=True)}
    codes = [made.code for made in map(made_of, shards) if made]
    code = reduce(mixed, codes) if codes else {}
    note(out, {"shards": len(shards)}, read, of=manifest["fingerprint"], code=code)
    typer.echo(json.dumps(manifest, indent=1))


@cache_app.command()
def ls(folder: Folder = Path("cache"), as_json: Json = False) -> None:
    """What the stores hold, one row a component: clips, frames, bytes, key, age.

    Example: avemo cache ls cache/demo
    """
    from avemo.cache.inventory import describe

    rows = [asdict(row) for row in describe(folder)]
    if as_json:
        typer.echo(json.dumps(rows, default=str, indent=1))
        return
    _print_table(rows)


@cache_app.command()
def verify(
    folder: Folder = Path("cache"),
    keep: Annotated[bool, typer.Option("--keep", help="Leave damaged shards published.")] = False,
    as_json: Json = False,
) -> None:
    """Check every stored item against its checksum; exit code 1 if anything is wrong.

    Damaged published shards are withdrawn: the next run makes them anew and
    computes the damaged clips alone.

    Example: avemo cache verify cache/demo
    """
    from avemo.cache.verify import verify_folder, withdraw

    problems = verify_folder(folder, _expected_clips)
    withdrawn = [] if keep else withdraw(problems, folder)
    if as_json:
        typer.echo(json.dumps([asdict(problem) for problem in problems], default=str, indent=1))
    else:
        for problem in problems:
            typer.echo(f"{problem.file}: {', '.join(problem.clips) or 'whole file'}: {problem.what}")
        for path in withdrawn:
            typer.echo(f"{path}: withdrawn; the next run makes it anew and computes these clips alone")
        typer.echo(f"{folder}: {len(problems) or 'no'} problems")
    raise typer.Exit(1 if problems else 0)


def _expected_clips(shard: Path) -> list[str]:
    """Ids that the clip table puts into a published shard; none where that cannot be told."""
    from avemo.base.contracts import AvemoError
    from avemo.base.keys import shard_of
    from avemo.cache.manifest import read_manifest
    from avemo.index.clip_table import read_table

    try:
        shards = len(read_manifest(shard.with_name("manifest.json")).shards)
        rows = read_table(shard.parent.parent / "index.parquet")
    except AvemoError:
        return []
    return [row.clip_id for row in rows if f"{shard_of(row.clip_id, shards):04d}" == shard.stem]


@cache_app.command()
def gc(
    config: Annotated[list[Path], typer.Option("--config", help="A config whose features stay; repeat it.")],
    folder: Annotated[Path, typer.Argument(help="The cache.")] = Path("cache"),
    unpublished: Annotated[
        bool,
        typer.Option(
            "--unpublished",
            help="Also items of clips that have left the table, and of media that were replaced.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--delete", help="Delete, not only list.")] = False,
    as_json: Json = False,
) -> None:
    """List the components that no given config refers to; with --delete, remove them. Nothing else ever does.

    Example: avemo cache gc --config config/config.yaml --config mine.yaml
    """
    from avemo.cache.garbage import delete, find_garbage, find_unpublished
    from avemo.study.kept import read_study

    used: dict[str, set[str]] = {}
    for path in config:
        for corpus, component in read_study(path).components:
            used.setdefault(corpus, set()).add(component)
    found = find_garbage(folder, used) + (find_unpublished(folder, used) if unpublished else [])
    left = [path for garbage in found if yes for path in delete(garbage)]
    if as_json:
        typer.echo(json.dumps([asdict(garbage) for garbage in found], default=str, indent=1))
        return
    for garbage in found:
        typer.echo(
            f"{'deleted' if yes else garbage.what} {garbage.corpus}/{garbage.component}: {garbage.bytes} bytes"
        )
    for path in left:
        typer.echo(f"{path}: a link led there; it stays, delete it by hand if no other cache uses it")
    advice = "" if yes or not found else "; --delete removes them"
    typer.echo(f"{folder}: {len(found) or 'no'} unused, {sum(g.bytes for g in found)} bytes{advice}")


@cache_app.command("export")
def export_features(
    manifest: Annotated[Path, typer.Argument(help="A component's manifest.json.")],
    out: Annotated[Path, typer.Option("--out", help="A new folder.")],
    form: Annotated[Form, typer.Option("--format", help="What to write.")] = Form.parquet,
) -> None:
    """Write a component's features as NumPy files, or as Parquet that Hugging Face `datasets` loads.

    Example: avemo cache export cache/demo/compare_lld-1a2b3c4d/manifest.json --out lld --format numpy
    """
    from avemo.cache.exchange import export

    typer.echo(f"{export(manifest, out, form)} clips to {out}")


@cache_app.command("import")
def import_features(
    exported: Annotated[Path, typer.Argument(help="A folder that export has written.")],
    corpus: Annotated[Path, typer.Option(help="A corpus' folder under the cache.")],
    shards: Annotated[int, typer.Option(min=1, help="The corpus' number of shards, as in its config.")],
) -> None:
    """Put exported features into a corpus' stores; the next run takes those whose keys are its own.

    Example: avemo cache import lld --corpus cache/demo --shards 4
    """
    from avemo.cache.exchange import import_folder

    new, known = import_folder(exported, corpus, shards)
    typer.echo(f"{new} clips taken into {corpus}, {known} there already")


@cache_app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="MMSA's dictionary of features, a .pkl.")],
    out: Annotated[Path, typer.Option("--out", help="A new folder.")],
    allow_pickle: Annotated[
        bool,
        typer.Option(
            "--allow-pickle",
            help="Read the pickle: its arrays, lists, dictionaries and texts. Anything else is refused, and nothing of it runs.",
        ),
    ] = False,
) -> None:
    """Turn MMSA's pickled features into audio.h5 and visual.h5, which `imported_audio` and `imported_visual` take, once.

    Example: avemo cache convert unaligned_50.pkl --allow-pickle --out mosi
    """
    from avemo.features.mmsa_files import convert as convert_file

    done = convert_file(source, out, allow_pickle=allow_pickle)
    for name, clips in done.clips.items():
        typer.echo(f"{out / name}: {clips} clips")
    for note in done.notes:
        typer.echo(f"note: {note}")


def _print_table(rows: list[dict[str, object]]) -> None:
    from rich.console import Console
    from rich.table import Table

    if not rows:
        typer.echo("no feature shard (*.h5) lies there")
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console().print(table)
