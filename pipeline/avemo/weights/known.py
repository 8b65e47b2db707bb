"""Published weights that the extractors know: where from, whose, and how their network wants its input.

No hash stands here that was not seen: where ``sha256`` is None, the first use
records it (`avemo.weights.hashes`), and every later one verifies it.
"""

from __future__ import annotations

from dataclasses import dataclass

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
VGG_FACE_MEAN = (129.1863, 104.7624, 93.5940)
"""Of VGG-Face's training faces, in red, green, blue, on a scale of 0 to 255 (Parkhi et al. 2015)."""


@dataclass(frozen=True)
class KnownWeights:
    """One published network. ``file`` is what `avemo weights fetch` leaves in the weights folder.

    ``hub`` (with ``revision`` and ``hub_files``) or ``url`` is where it comes
    from; ``page`` is for people. ``pickled``: the published file holds Python
    objects and must be converted, knowingly. ``mean`` and ``std`` are of pixels
    in the order ``channels``, on the scale of ``mean``.
    """

    file: str
    extractor: str
    page: str
    licence: str
    paper: str
    layer: str
    hub: str = ""
    revision: str = ""
    hub_files: tuple[str, ...] = ()
    url: str = ""
    pickled: bool = False
    sha256: str | None = None
    input_size: str = ""
    channels: str = ""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    note: str = ""


KNOWN: dict[str, KnownWeights] = {
    "enet_b2_8": KnownWeights(
        file="enet_b2_8.safetensors",
        extractor="efficientnet_b2",
        page="https://github.com/sb-ai-lab/EmotiEffLib",
        url="https://github.com/HSE-asavchenko/face-emotion-recognition/raw/main/models/affectnet_emotions/enet_b2_8.pt",
        pickled=True,
        licence="Apache-2.0",
        paper="Savchenko, Savchenko and Makarov, IEEE Trans. Affective Computing 13(4), 2022",
        layer="pooled conv_head, 1408-D",
        input_size="260 x 260 (224 x 224 in VAVL)",
        channels="RGB",
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        note="eight classes of AffectNet; the file is a whole pickled module",
    ),
    "vgg_face_dag": KnownWeights(
        file="vgg_face_dag.pth",
        extractor="vgg_face_fc6",
        page="https://www.robots.ox.ac.uk/~albanie/pytorch-models.html",
        url="http://www.robots.ox.ac.uk/~albanie/models/pytorch-mcn/vgg_face_dag.pth",
        licence="see https://www.robots.ox.ac.uk/~vgg/software/vgg_face/ (research)",
        paper="Parkhi, Vedaldi and Zisserman, Deep Face Recognition, BMVC 2015",
        layer="fc6, 4096-D",
        input_size="224 x 224",
        channels="RGB",
        mean=VGG_FACE_MEAN,
        std=(1.0, 1.0, 1.0),
        note="also the start of `avemo finetune faces`",
    ),
    "wav2vec2_large_robust": KnownWeights(
        file="wav2vec2_large_robust",
        extractor="wav2vec2",
        page="https://huggingface.co/facebook/wav2vec2-large-robust",
        hub="facebook/wav2vec2-large-robust",
        revision="fa15057c3b76cc23b2029e893f34b3ef3e295501",
        hub_files=("config.json", "preprocessor_config.json", "model.safetensors"),
        licence="Apache-2.0",
        paper="Hsu et al., Robust wav2vec 2.0, Interspeech 2021 (arXiv 2104.01027)",
        layer="last hidden state of 12 or 24 layers, 1024-D",
        input_size="16 kHz",
        note="the revision that adds safetensors",
    ),
    "wav2vec2_msp_dim": KnownWeights(
        file="wav2vec2_msp_dim",
        extractor="wav2vec2",
        page="https://huggingface.co/audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim",
        hub="audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim",
        revision="bd4333d2b81d94a980c50b4df7d7c6ae9e57c2f4",
        hub_files=("config.json", "preprocessor_config.json", "model.safetensors"),
        licence="CC BY-NC-SA 4.0",
        paper="Wagner et al., IEEE Trans. PAMI 45(9), 2023 (arXiv 2203.07378)",
        layer="last hidden state of 12 layers, 1024-D",
        input_size="16 kHz",
        note="public stand-in for VAVL's own fine-tuning: MSP-Podcast v1.7 instead of v1.10",
    ),
}
