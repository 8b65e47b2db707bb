"""How good each clip's media and face track are, and which clips to look at first.

Measures are of the clip as it was decoded; nothing here leaves a clip out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from avemo.base.contracts import TRACK_COLUMNS, ClipFailure, FeatureSequence, Status, TrackStatus
from avemo.cache.manifest import FeatureSet
from avemo.index.clip_table import Row
from avemo.media.decoding import Tally
from avemo.media.sound import read_sound

CLIPPED_AT = 0.999
"""Samples at least this large, on a scale of 1, count as clipped."""
SILENT_DB, WINDOW_S = -60.0, 0.02
"""Windows whose root mean square lies below this, relative to full scale, count as silent."""
MANY_CLIPPED, MANY_SILENT, MANY_LOST = 0.001, 0.5, 0.05
APART_S, CLOSE_MARGIN, LOW_RATE_HZ = 0.1, 0.2, 16_000
"""From these shares, seconds, margins and below this rate on, a clip has a concern."""

_TRACK = {name: number for number, name in enumerate(TRACK_COLUMNS)}


def sound_quality(signal: np.ndarray, rate_hz: int) -> dict[str, float]:
    """Length, peak, and shares of clipped samples and of silent windows of ``signal (samples,)`` in [-1, 1]."""
    window = max(1, round(WINDOW_S * rate_hz))
    whole = signal[: len(signal) // window * window].reshape(-1, window)
    rms = np.sqrt(np.mean(np.square(whole), axis=1, dtype=np.float64))
    loud = np.abs(signal)
    return {
        "audio_s": len(signal) / rate_hz,
        "peak": float(loud.max(initial=0.0)),
        "clipped": float(np.mean(loud >= CLIPPED_AT)) if len(signal) else 0.0,
        "silent": float(np.mean(rms < 10 ** (SILENT_DB / 20))) if len(rms) else 1.0,
    }


def face_quality(track: FeatureSequence) -> dict[str, float]:
    """Frames, most faces seen at once, margin of choice, and the share of frames in each `TrackStatus`.

    ``video_s`` is the last frame's time and a median step.
    """
    x, times_s = track.x, track.times_s
    kinds = ("detected", "tracked", "interpolated", "missing")
    step_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0
    return {
        "video_s": float(times_s[-1]) + step_s,
        "frames": len(x),
        "faces": int(x[:, _TRACK["n_faces"]].max()),
        "margin": float(x[0, _TRACK["margin"]]),
        **{kind: float(np.mean(x[:, _TRACK["status"]] == getattr(TrackStatus, kind))) for kind in kinds},
    }


def clip_quality(
    row: Row, statuses: Mapping[str, str], track: FeatureSequence | None, tracking: str = ""
) -> dict[str, Any]:
    """One row of the table. The sound is decoded here, at its own rate; ``tracking`` is what the track notes of its frames."""
    found: dict[str, Any] = {"clip_id": row.clip_id, "audio_rate_hz": row.audio_rate_hz, "fps": row.fps}
    notes: tuple[str, ...] = ()
    if row.audio_rate_hz:
        try:
            sound = read_sound(row.clip, row.audio_rate_hz)
            found |= sound_quality(sound.samples, row.audio_rate_hz) | {"sound_damaged": sound.tally.share}
            notes = sound.notes
        except ClipFailure as failure:
            statuses = {**statuses, "sound": str(failure.status)}
    if track is not None:
        found |= face_quality(track) | {"damaged": Tally.read(tracking).share}
        notes = (*notes, tracking) if tracking else notes
    if "audio_s" in found and "video_s" in found:
        found["mismatch_s"] = found["audio_s"] - found["video_s"]
    found["failed"] = ", ".join(f"{stage}: {s}" for stage, s in statuses.items() if s != Status.ok)
    found["note"] = "" if row.problem else row.detail
    return found | {"concern": "; ".join([*concerns(found), *notes]), "severity": severity(found)}


def concerns(found: Mapping[str, Any]) -> list[str]:
    """What to look at in a clip, in words."""
    lost = found.get("missing", 0.0) + found.get("interpolated", 0.0)
    crowd = found.get("faces", 0) > 1 and found.get("margin", 1.0) < CLOSE_MARGIN
    # A picture's length is known to a frame only.
    apart_s, slack_s = found.get("mismatch_s", 0.0), max(APART_S, 1 / (found.get("fps") or np.inf))
    checks = (
        (bool(found["failed"]), found["failed"]),
        (lost > MANY_LOST, f"no face detected in {lost:.0%} of frames"),
        (crowd, f"{found.get('faces')} faces, margin of choice {found.get('margin', 0):.2f}"),
        (found.get("clipped", 0) > MANY_CLIPPED, f"{found.get('clipped', 0):.1%} of samples clipped"),
        (found.get("silent", 0) > MANY_SILENT, f"{found.get('silent', 0):.0%} silent"),
        (
            abs(apart_s) > slack_s,
            f"sound {abs(apart_s):.2f} s {'longer' if apart_s > 0 else 'shorter'} than picture",
        ),
        (
            (found.get("audio_rate_hz") or LOW_RATE_HZ) < LOW_RATE_HZ,
            f"sound at {found.get('audio_rate_hz')} Hz",
        ),
    )
    return [text for holds, text in checks if holds]


def severity(found: Mapping[str, Any]) -> float:
    """A number to sort by: 10 for a failure, and the sum of the shares of what is wrong."""
    length_s = max(found.get("video_s", 0.0), found.get("audio_s", 0.0), 1e-9)
    doubt = 1 - found.get("margin", 1.0) if found.get("faces", 0) > 1 else 0.0
    shares = (
        *(found.get("missing", 0.0), found.get("interpolated", 0.0), found.get("clipped", 0.0)),
        *(found.get("damaged", 0.0), found.get("sound_damaged", 0.0)),
        *(found.get("silent", 0.0), doubt, min(1.0, abs(found.get("mismatch_s", 0.0)) / length_s)),
    )
    return 10.0 * bool(found["failed"]) + sum(shares)


def quality_table(
    rows: Iterable[Row],
    stages: Mapping[str, FeatureSet],
    progress: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    """One row a clip, the worst first. ``stages`` are what the run has computed: ``faces`` and features."""
    told = {name: stage.statuses().set_index("clip_id") for name, stage in stages.items()}
    statuses: dict[str, dict[str, str]] = {name: dict(table["status"]) for name, table in told.items()}
    tracking: dict[str, str] = dict(told["faces"]["detail"]) if "faces" in told else {}
    tracks = stages.get("faces")
    found = []
    for row in rows:
        track = tracks.read(row.clip_id) if tracks is not None and tracks.has(row.clip_id) else None
        own = {name: known[row.clip_id] for name, known in statuses.items() if row.clip_id in known}
        found.append(clip_quality(row, own, track, tracking.get(row.clip_id, "")))
        if progress:
            progress(len(found))
    return pd.DataFrame(found).sort_values(
        ["severity", "clip_id"], ascending=[False, True], ignore_index=True
    )
