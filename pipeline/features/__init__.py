"""Extractors: one file and one line here each."""

from pipeline.registry import Registry

EXTRACTORS = Registry(
    "extractor",
    compare_lld="pipeline.features.opensmile_lld:CompareLLD",
    compare_2016="pipeline.features.opensmile_sets:Compare2016",
    egemaps="pipeline.features.opensmile_sets:EGeMAPS",
    logmel="pipeline.features.logmel:LogMel",
    wav2vec2="pipeline.features.wav2vec2:Wav2Vec2",
    efficientnet_b2="pipeline.features.efficientnet:EfficientNetB2",
    face_frames="pipeline.features.face_frames:FaceFrames",
    vgg_face_affectnet="pipeline.features.vgg_face:VGGFaceAffectNet",
    vgg_face_fc6="pipeline.features.vgg_face:VGGFaceFC6",
)
