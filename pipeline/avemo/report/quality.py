"""Tables of how good the clips' media and face tracks are, made of `avemo.evaluation.clip_quality`."""

from __future__ import annotations

import pandas as pd

from avemo.report.tables import plain_table
from avemo.report.writers import Notes, Table

WORST_SHOWN = 12


def summary_table(quality: pd.DataFrame, notes: Notes = ()) -> Table:
    """Of each measure its median and range over the clips that have it."""
    measures = {
        **{"audio_rate_hz": "sample rate / Hz", "audio_s": "sound / s", "video_s": "picture / s"},
        **{"mismatch_s": "sound longer than picture / s", "clipped": "share of samples clipped"},
        **{"silent": "share of windows silent", "faces": "faces at once", "margin": "margin of choice"},
        **{"detected": "share of frames detected", "tracked": "share between key frames"},
        **{"interpolated": "share interpolated", "missing": "share missing"},
        **{"damaged": "share of frames damaged", "sound_damaged": "share of sound damaged"},
    }
    rows = [
        {"measure": name, "clips": int(values.count())}
        | {how: round(float(getattr(values, how)()), 4) for how in ("min", "median", "max")}
        for column, name in measures.items()
        if column in quality and (values := quality[column].dropna()).count()
    ]
    flagged = int((quality["concern"].fillna("") != "").sum())
    caption = f"Of {len(quality):,} clips, {flagged:,} have a concern."
    return plain_table("quality", "Quality of the clips", caption, pd.DataFrame(rows), notes)


def worst_table(quality: pd.DataFrame, notes: Notes = ()) -> Table:
    """The clips to look at first, and why."""
    worst = quality[quality["concern"].fillna("") != ""].head(WORST_SHOWN)
    frame = worst[["clip_id", "concern"]].rename(columns={"clip_id": "clip"})
    caption = "The gravest first; the contact sheet shows their faces. All measures: data/quality.csv."
    return plain_table("worst_clips", "Clips to look at", caption, frame, notes)
