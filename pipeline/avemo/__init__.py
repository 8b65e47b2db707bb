"""avemo: audio-visual emotion recognition, from raw clips to significance tables.

Data flows one way, and so do imports (a room may import those before it):

    base         contracts, registry, metrics, atomic files, buffers: importable by all
    media        decoding: sound, frames and their times
    corpora      who said what, where the media lie, how raters voted
    synthetic    drawn faces and spoken syllables: the demo corpus, and a miniature of each corpus
    index        one checked row a clip: media, hashes, statuses
    faces        detection, tracking, crops
    weights      what networks are made of: found, hashed, verified
    features     one extractor per file, and one clip's way through them
    cache        HDF5 shards that grow clip by clip
    dataset      splits, train-only statistics, padded batches
    models       one system per file
    training     losses, steps, the loop, checkpoints
    finetuning   networks behind the extractors, tuned on corpora of their own
    papers       tables of published papers, to stand beside ours
    study        the checked runs, where their files lie, what their corpora hold
    evaluation   checkpoint to predictions and scores, new clips, bundles, the audit of a finished run
    exports      a finished run's clips in Python, and in other programs' formats
    report       significance tests, tables, figures, the HTML page
    progress     what a run would do and has done
    machine      whether this machine is fit, and jobs that share its GPUs
    cli          one command a rule, and some for people
    project      the workflow, its profiles and configs, as an installed package carries them
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from avemo.exports.loaded import Clips

__version__ = "0.1.0"


def load(
    folder: Path | str,
    features: Sequence[str] | None = None,
    split: int | str | None = None,
    run: Path | str | None = None,
) -> dict[str, Clips]:
    """Features, labels and sides of a cache or a run, as torch data sets: `avemo.exports.loaded.load`."""
    from avemo.exports.loaded import load as load_clips

    return load_clips(folder, features, split, run)
