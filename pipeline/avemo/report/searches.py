"""How many trials stand behind a result, and which values won on dev."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from avemo.report.formatting import fixed
from avemo.report.tables import table_of
from avemo.report.writers import Notes, Table
from avemo.training.search import ALL, Search, Trial, best, shown

Searches = Mapping[str, tuple[Search, Sequence[Trial]]]
"""By a system's title: its search, and its trials."""


SHARED = " A study of all splits chose by the dev sides of all, among which may be test clips of others; the audit counts them."


def search_table(searches: Searches, names: Mapping[str, str], notes: Notes = ()) -> Table:
    """A row a study; ``names``: what metrics are called."""
    rows, raw = [], []
    for system, (search, trials) in searches.items():
        for study in dict.fromkeys(trial.study for trial in trials):
            own = [trial for trial in trials if trial.study == study]
            chosen = best(own, search.by)
            found = pd.Series([value for one in own if (value := one.mean(search.by)) is not None])
            failed, value = sum(bool(one.failed) for one in own), chosen.mean(search.by)
            assert value is not None
            what = "loss" if search.by == "loss" else names.get(chosen.metric, chosen.metric)
            told = [fixed(value, 3), fixed(float(found.median()), 3), str(chosen.trial), shown(chosen.values)]
            label = "all splits" if study == ALL else study
            rows.append([system, label, f"{len(own)}", f"{failed}", what, *told])
            raw += [
                {
                    **{"system": system, "split": study, "trial": one.trial, "chosen": one is chosen},
                    **{"sampler": search.sampler, "by": search.by, "metric": one.metric},
                    **{"loss": one.mean("loss"), "score": one.mean("score"), "failed": one.failed},
                    **{"values": shown(one.values), "seconds": one.wall_s},
                }
                for one in own
            ]
    hours = sum(trial.wall_s for _, trials in searches.values() for trial in trials) / 3600
    caption = (
        "Settings that were searched for on dev: trials made, those that failed, what decided on dev, of the trial that was "
        f"taken and the median of all, and the values that won. All trials took {hours:.2f} hours; the costs below are of the "
        "trial that was taken. The more trials, the more the best one's score on dev owes to chance; no trial was scored on "
        "test clips but the one taken."
        f"{SHARED if any(one.study == ALL for _, trials in searches.values() for one in trials) else ''}"
    )
    columns = ["system", "study", "trials", "failed", "by dev", "taken", "median", "trial", "values"]
    return table_of("search", "Search", caption, rows, columns, pd.DataFrame(raw), notes)


def searched_legend(searches: Searches) -> str:
    """What stands beside results of how many trials are behind them; nothing without a search."""
    told = [
        f"{system}: the best of {search.count} trials {'for all splits' if search.studies == 'all' else 'a split'}"
        for system, (search, _) in searches.items()
    ]
    return f" Settings searched for on dev, {'; '.join(told)}." if told else ""
