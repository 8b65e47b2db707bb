"""A run's splits by its protocol: drawn, or read from published files."""

from __future__ import annotations

from avemo.base.contracts import AvemoError
from avemo.dataset.labels import Labels
from avemo.dataset.partitions import published_splits
from avemo.dataset.splits import Split, SplitConfig, check_disjoint, make_splits

FEWEST = 3


def splits_of(known: Labels, config: SplitConfig) -> list[Split]:
    """Splits of the labelled clips; raises `AvemoError` as `make_splits` and `published_splits` do.

    Drawn ones keep clips that share media on one side; published ones are as their files say.
    """
    table = known.labelled
    clip_ids, groups = table.clip_id.tolist(), table.group.tolist()
    together = [known.kept_together[clip_id] for clip_id in clip_ids]
    classes = table.label.tolist() if known.task.kind == "classes" else None
    if config.protocol == "published":
        made = published_splits(clip_ids, groups, config)
    else:
        joined = len(set(groups)) - len(set(together))
        if len(set(together)) < FEWEST <= len(set(groups)):
            raise AvemoError(
                f"splits: expected at least {FEWEST} groups (train, dev, test), found {len(set(groups))} of which "
                f"{joined} share media with another; give each clip its own file, or add clips of other speakers"
            )
        made = make_splits(clip_ids, together, classes, config)
    for split in made:
        check_disjoint(split, known.groups)
    return made
