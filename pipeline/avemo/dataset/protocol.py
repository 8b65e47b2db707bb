"""A run's splits by its protocol: drawn, or read from published files."""

from __future__ import annotations

from avemo.dataset.labels import Labels
from avemo.dataset.partitions import published_splits
from avemo.dataset.splits import Split, SplitConfig, check_disjoint, make_splits


def splits_of(known: Labels, config: SplitConfig) -> list[Split]:
    """Splits of the labelled clips; raises `AvemoError` as `make_splits` and `published_splits` do."""
    table = known.labelled
    clip_ids, groups = table.clip_id.tolist(), table.group.tolist()
    classes = table.label.tolist() if known.task.kind == "classes" else None
    if config.protocol == "published":
        made = published_splits(clip_ids, groups, config)
    else:
        made = make_splits(clip_ids, groups, classes, config)
    for split in made:
        check_disjoint(split, known.groups)
    return made
