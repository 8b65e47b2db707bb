"""Sections that the package cites: what it takes from them stands there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TEXTS = {
    "auxformer": "AUXFORMER: ROBUST APPROACH",
    "av_ladder": "LEARNING CROSS-MODAL AUDIOVISUAL REPRESENTATIONS",
    "vavl": "VERSATILE AUDIO-VISUAL LEARNING",
    "colearning": "Interactive Co-Learning with Cross-Modal Transformer",
}
"""What each paper's text begins with."""
HEADING = re.compile(r"^#*\s*(\d(?:\.\d)*)\.?\s+[A-Z].*$", re.MULTILINE)
CITED = [
    # Where, whose section, and words of it that say what is taken from there.
    ("training/recipe.py", "auxformer", "5.1", "gradient clipping threshold to 0.8, batch size to 32"),
    ("models/auxformer.py", "auxformer", "4.2", "layer-independent learnable scaling weights"),
    ("models/auxformer_unimodal.py", "auxformer", "5.3", "implement a unimodal version of our model"),
    ("features/vgg_face.py", "auxformer", "4.1.1", "pre-trained VGG-face architecture"),
    ("features/vgg_face.py", "av_ladder", "4.2", "fine-tune for an emotion recognition task"),
    ("finetuning/faces.py", "av_ladder", "4.2", "fine-tune this model for 50 epochs"),
    ("faces/crop.py", "av_ladder", "4.2", "we mask the face area isolating it from the background region"),
    ("models/av_ladder.py", "av_ladder", "3.2", "CNN layers with three max-pooling layers"),
    ("models/av_ladder.py", "av_ladder", "3.3", r"[u, \tilde{z}, u \odot z]"),
    ("models/av_ladder.py", "av_ladder", "3.4", r"u_{M2} \odot z_{M2}"),
    ("training/steps.py", "vavl", "3.4", "it freezes all the parameters of the models other than"),
    ("models/vavl.py", "vavl", "3.2", "residual connection over the shared layers"),
    ("models/vavl.py", "vavl", "4.3", "512 nodes and 256 nodes"),
    ("models/unimodal.py", "vavl", "4.5.4", "five conformer layers"),
    ("finetuning/speech.py", "vavl", "4.2", "wav2vec2-large-robust"),
    ("features/logmel.py", "colearning", "4.2", "80 log Mel-scale filterbank coefficients"),
    ("models/colearning.py", "colearning", "3.2", "trained on three types of inputs"),
]


@pytest.fixture(scope="module")
def sections(shared_data: Path) -> dict[str, dict[str, str]]:
    """By paper and number, each section's own text, without that of sections below it."""
    found = {}
    for path in (shared_data.parent / "papers").iterdir():
        text = path.read_text()
        for paper, title in TEXTS.items():
            if title in text[:400]:
                starts = list(HEADING.finditer(text))
                ends = [*(start.start() for start in starts[1:]), len(text)]
                found[paper] = {s[1]: text[s.end() : end] for s, end in zip(starts, ends, strict=True)}
    return found


@pytest.mark.parametrize(("module", "paper", "section", "words"), CITED)
def test_a_cited_section_says_it(repository, sections, module, paper, section, words):
    assert words in " ".join(sections[paper][section].split())
    cited = rf"sections? (?:[\d.]+(?:, | and ))*{re.escape(section)}\b(?!\.\d)"
    assert re.search(cited, (repository / "pipeline" / "avemo" / module).read_text())


@pytest.mark.parametrize("module", ["finetuning/speech.py", "features/wav2vec2.py"])
def test_what_released_code_alone_says_is_not_told_as_the_papers(repository, sections, module):
    """VAVL's text names wav2vec2-large-robust, whose layers are 24, and no number of them."""
    assert "12 layers" not in " ".join(sections["vavl"].values())
    docstring = ast.get_docstring(ast.parse((repository / "pipeline" / "avemo" / module).read_text())) or ""
    (sentence,) = (s for s in docstring.split(". ") if "first 12" in s and "layers" in s)
    assert "released code" in sentence
