"""Faces and sound of the first system's gravest errors, from the media, where they still lie."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np

from avemo.base.contracts import AvemoError
from avemo.cache.manifest import FeatureSet
from avemo.faces.crop import CropPolicy
from avemo.features.extraction import extract_audio, sample_crops
from avemo.features.opensmile_lld import CompareLLD
from avemo.index.clip_table import Row, read_table
from avemo.report.gravest_errors import CONTOURS, CROPS, ErrorCase, gravest_errors
from avemo.report.run_files import RunFiles


def error_cases(run: RunFiles) -> list[ErrorCase]:
    """The clips of the figure; none where the clip table is gone."""
    if not run.layout.index.is_file():
        return []
    first = run.predictions[run.predictions["system"] == run.order[0]]
    rows = {row.clip_id: row for row in read_table(run.layout.index)}
    smile, faces = CompareLLD(CompareLLD.Config()), run.config.components.get("faces")
    with ExitStack() as opened:
        tracks = opened.enter_context(FeatureSet(run.layout.manifest(faces.id))) if faces else None
        worst = gravest_errors(first, run.labels.task)
        return [
            _case(rows[clip], told, tracks, smile)
            for clip, told in zip(worst.clip_id, worst.told, strict=True)
        ]


def _case(row: Row, told: str, tracks: FeatureSet | None, smile: CompareLLD) -> ErrorCase:
    """One clip; what cannot be read any more is left out."""
    crops, times_s, contours = [], np.zeros(0), {}
    try:
        if tracks is not None and tracks.has(row.clip_id):
            crops = sample_crops(row.clip, tracks.read(row.clip_id), CROPS, CropPolicy(size_px=96))
        if row.audio_rate_hz:
            heard = extract_audio(smile, row.clip)
            times_s = heard.times_s
            contours = {name: heard.x[:, smile.columns.index(name)] for name in CONTOURS}
    except AvemoError as error:
        print(f"{row.clip_id}: not drawn in full: {error}")
    return ErrorCase(row.clip_id, told, crops, times_s, contours)
