"""avemo: audio-visual emotion recognition, from raw clips to significance tables.

Data flows one way, and so do imports (a package may import those before it):

    aside, frames, contracts, registry, metrics    leaves, importable by all
    corpora      who said what, where the media lie, how raters voted
    media        decoding: sound, frames and their times
    faces        detection, tracking, crops
    features     one extractor per file
    extraction   one clip through faces and features
    cache        HDF5 shards that grow clip by clip
    clip_table   one checked row a clip: media, hashes, statuses
    dataset      splits, train-only statistics, padded batches
    models       one system per file
    training     losses, steps, the loop, checkpoints
    finetuning   networks behind the extractors, tuned on corpora of their own
    evaluation   checkpoint to predictions and scores
    prediction   class probabilities for one clip
    audit        whether a finished run kept its test clips to the end
    report       significance tests, tables, figures, the HTML page
    config, layout, listing, study  the checked runs, where their files lie, what their corpora hold
    overview     what a run would do and has done
    gpus         jobs that share this machine's GPUs
    doctor, cli  see everything
"""

__version__ = "0.1.0"
