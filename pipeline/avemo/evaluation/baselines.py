"""What needs no features: the train part's majority or mean, and chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from avemo.dataset.labels import Labels
from avemo.dataset.splits import Split


def blind_scores(known: Labels, splits: Sequence[Split]) -> pd.DataFrame:
    """Rows (system, split, modality, metric, value) of each predictor that sees no input."""
    targets, rows = known.targets, []
    for split in splits:
        train, test = (np.array([targets[clip] for clip in side]) for side in (split.train, split.test))
        for name, values in known.task.blind_scores(train, test, seed=0).items():
            place = {"system": name, "split": split.name, "modality": "av"}
            rows += [place | {"metric": metric, "value": value} for metric, value in values.items()]
    return pd.DataFrame(rows)
