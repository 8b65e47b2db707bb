"""What index, labels and manifest commands make of several corpora together, from what each of them has."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from avemo.dataset.labels import Labels
    from avemo.study.specs import IndexSpec, LabelsSpec


def united_index(spec: IndexSpec, cfg: Any, out: Path) -> None:
    """The clip table of corpora whose own lie in the same cache."""
    from avemo.base.made_of import checked, write_made
    from avemo.index.clip_table import read_table, write_table
    from avemo.index.same_media import same_media, told
    from avemo.index.united import united_rows
    from avemo.study.stage_code import corpus_code

    tables = {corpus: out.parent.parent / corpus / out.name for corpus in spec.parts}
    read = {corpus: checked(path) for corpus, path in tables.items()}
    rows = united_rows({corpus: read_table(path) for corpus, path in tables.items()})
    write_made(out, lambda path: write_table(path, rows), cfg, read, corpus_code("index", ""))
    typer.echo(f"{len(rows)} clips of {', '.join(spec.parts)}")
    for note in told(same_media(rows)):
        typer.echo(f"note: {note}")


def united_labels(spec: LabelsSpec, cfg: Any, index: Path, of: Sequence[str], out: Path) -> None:
    """The labels of several corpora under the names of the config's map; ``of`` says where each one's lie."""
    from avemo.base.contracts import AvemoError, ConfigError
    from avemo.base.made_of import checked, write_made
    from avemo.dataset.across import united_labels as unite
    from avemo.dataset.labels import load_labels, make_labels, save_labels
    from avemo.index.clip_table import read_table
    from avemo.index.same_media import joined_groups, same_media, told
    from avemo.study.stage_code import corpus_code

    places = {corpus: Path(path) for corpus, _, path in (one.partition("=") for one in of)}
    if set(places) != set(spec.label_runs):
        raise ConfigError(
            f"config: --of: expected CORPUS=LABELS for each of {', '.join(spec.label_runs)}, found {', '.join(of) or 'none'}"
        )
    read = {"index": checked(index)}
    read |= {f"labels of {corpus}": checked(places[corpus]) for corpus in spec.label_runs}
    rows, tables = read_table(index), {corpus: load_labels(places[corpus]) for corpus in spec.label_runs}
    found, names = unite(tables, spec.labels["map"])
    given = {label.clip_id: label for label in found}
    if lacking := [row.clip_id for row in rows if row.clip_id not in given]:
        raise AvemoError(
            f"{index}: expected clips that have labels or a reason, found {len(lacking)} others, such as "
            f"{lacking[0]}; run the workflow again"
        )
    sets, task = same_media(rows), next(iter(tables.values())).task
    labels = [given[row.clip_id] for row in rows]
    made = make_labels([row.clip for row in rows], labels, task.kind, names, joined_groups(rows, sets))
    write_made(out, lambda path: save_labels(made, path), cfg, read, corpus_code("labels", ""))
    tell_labels(made, told(sets))


def tell_labels(made: Labels, notes: Iterable[str]) -> None:
    """Counts, and why clips have no label: one by one, and together where a map leaves a label out."""
    from avemo.dataset.across import LEFT_OUT, left_out_counts

    typer.echo(made.counts().to_string(index=False))
    for note in notes:
        typer.echo(f"note: {note}")
    for corpus, label, clips in left_out_counts(made):
        typer.echo(f"{corpus}: {clips} clips of {label} {LEFT_OUT.partition(':')[0]}")
    alone = made.table[(made.table.reason != "") & ~made.table.reason.str.startswith(LEFT_OUT)]
    for clip_id, reason in alone[["clip_id", "reason"]].itertuples(index=False):
        typer.echo(f"{clip_id}: {reason}")


def united_manifest(out: Path, corpora: Sequence[str]) -> None:
    """A manifest that names those of several corpora in the same cache."""
    from avemo.base.code import mixed
    from avemo.base.made_of import made_of, note
    from avemo.cache.manifest import write_united_manifest
    from avemo.cache.united import member_manifest

    manifest = write_united_manifest(out, corpora)
    codes = [made.code for made in (made_of(member_manifest(out, corpus)) for corpus in corpora) if made]
    code = reduce(mixed, codes) if codes else {}
    cfg = {"corpora": sorted(corpora)}
    note(out, cfg, manifest["corpora"], of=manifest["fingerprint"], code=code)
    typer.echo(json.dumps(manifest, indent=1))
