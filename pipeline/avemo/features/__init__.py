"""Extractors: one file and one line here each; or of another package (`avemo.base.registry`)."""

from avemo.base.registry import Registry

EXTRACTORS = Registry(
    "extractor",
    base="avemo.features.base:Extractor",
    compare_lld="avemo.features.opensmile_lld:CompareLLD",
    compare_2016="avemo.features.opensmile_sets:Compare2016",
    egemaps="avemo.features.opensmile_sets:EGeMAPS",
    opensmile="avemo.features.opensmile_any:OpenSmile",
    logmel="avemo.features.logmel:LogMel",
    hf_audio="avemo.features.hf_audio:HFAudio",
    wav2vec2="avemo.features.wav2vec2:Wav2Vec2",
    efficientnet_b2="avemo.features.efficientnet:EfficientNetB2",
    timm_image="avemo.features.timm_image:TimmImage",
    hf_image="avemo.features.hf_image:HFImage",
    imported_audio="avemo.features.imported:ImportedAudio",
    imported_visual="avemo.features.imported:ImportedVisual",
    face_frames="avemo.features.face_frames:FaceFrames",
    vgg_face_affectnet="avemo.features.vgg_face:VGGFaceAffectNet",
    vgg_face_fc6="avemo.features.vgg_face:VGGFaceFC6",
)
