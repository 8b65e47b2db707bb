"""The tables of clips' quality: ranges over the clips that have a measure, and the clips to look at."""

from __future__ import annotations

import pandas as pd

from avemo.report.quality import summary_table, worst_table

# As a CSV file gives it back: the last clip has no face track and no concern.
QUALITY = pd.DataFrame(
    {
        "clip_id": ["lost", "held", "good"],
        "missing": [0.2, 0.0, None],
        "concern": ["no face detected in 20% of frames", "3 faces, margin of choice 0.05", None],
    }
)


def test_a_measures_range_is_over_the_clips_that_have_it():
    summary = summary_table(QUALITY)
    assert "Of 3 clips, 2 have a concern" in summary.caption
    lost = summary.raw.set_index("measure").loc["share missing"]
    assert (lost["clips"], lost["min"], lost["max"]) == (2, 0.0, 0.2)


def test_only_clips_with_a_concern_are_to_be_looked_at():
    assert worst_table(QUALITY).frame["clip"].tolist() == ["lost", "held"]
    assert len(worst_table(QUALITY[QUALITY.clip_id == "good"]).frame) == 0
