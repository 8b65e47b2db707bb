"""What labels of several corpora are called together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from avemo.base.contracts import AvemoError
from avemo.base.registry import nearest

LabelMap = Mapping[str, str | None]
"""What each corpus' labels are called; None: clips of this label are left out."""


def mapped_names(names: Mapping[str, Sequence[str]], labels: LabelMap) -> tuple[str, ...]:
    """What is predicted across corpora whose labels' ``names`` these are, by corpus: in the order of the first that has each.

    A label needs no word in the map where all corpora have it, or others are given its name. Raises `AvemoError` for
    labels that no corpus has, and for those that some corpora lack and that the map does not name.
    """
    every = dict.fromkeys(name for given in names.values() for name in given)
    for name in labels:
        if name not in every:
            raise AvemoError(
                f"across.labels: expected labels of {', '.join(names)}, found {name!r}{nearest(name, every)}; "
                f"they have {', '.join(every)}"
            )
    meant = {corpus: {labels.get(name, name) for name in given} for corpus, given in names.items()}
    told = {*labels, *labels.values()}
    lacking = {
        name: [corpus for corpus in names if name not in meant[corpus]] for name in every if name not in told
    }
    if left := [f"{name} (not in {', '.join(corpora)})" for name, corpora in lacking.items() if corpora]:
        raise AvemoError(
            f"across.labels: expected a word on each label that not all corpora have, found none on {'; '.join(left)}; "
            f"say what each is to be called, itself or another name, or null to leave its clips out"
        )
    found = dict.fromkeys(labels.get(name, name) for name in every)
    return tuple(name for name in found if name is not None)
