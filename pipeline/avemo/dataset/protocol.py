"""A run's splits by its protocol: drawn, in folds, across corpora, or as the corpus or published files say."""

from __future__ import annotations

from dataclasses import replace

from avemo.base.contracts import AvemoError
from avemo.dataset.across import across_splits
from avemo.dataset.folds import fold_splits
from avemo.dataset.labels import Labels
from avemo.dataset.official import official_split
from avemo.dataset.partitions import published_splits
from avemo.dataset.split_names import split_name
from avemo.dataset.splits import Split, SplitConfig, check_disjoint, make_splits

FEWEST = 3


def splits_of(known: Labels, config: SplitConfig) -> list[Split]:
    """Splits of the labelled clips, one for each seed; raises `AvemoError` as their makers do.

    Drawn ones, folds among them, keep clips that share media on one side; published, official and whole corpora are as
    they say.
    """
    table = known.labelled
    clip_ids, groups = table.clip_id.tolist(), table.group.tolist()
    together = [known.kept_together[clip_id] for clip_id in clip_ids]
    classes = table.label.tolist() if known.task.kind == "classes" else None
    if config.protocol == "published":
        made = published_splits(clip_ids, groups, config)
    elif config.protocol == "official":
        made = [official_split(known, config)]
    elif config.protocol == "across":
        made = across_splits(known, config)
    else:
        joined = len(set(groups)) - len(set(together))
        if len(set(together)) < FEWEST <= len(set(groups)):
            raise AvemoError(
                f"splits: expected at least {FEWEST} groups (train, dev, test), found {len(set(groups))} of which "
                f"{joined} share media with another; give each clip its own file, or add clips of other speakers"
            )
        draw = fold_splits if config.protocol == "folds" else make_splits
        made = draw(clip_ids, together, classes, config)
    for split in made:
        check_disjoint(split, known.groups)
    return [
        replace(split, name=split_name(number, seed))
        for number, split in enumerate(made)
        for seed in range(config.seeds)
    ]
