"""The same weights give the public implementations' numbers; `golden/` says how those were made."""

import pytest
import torch

from parity import CASES, auxformer, compared, gap


@pytest.mark.parametrize("case", CASES)
def test_outputs_equal_the_public_ones(case):
    pairs = compared(case)
    assert gap(pairs) < 1e-5
    assert all(theirs.std() > 0.01 for _, theirs in pairs.values())


@torch.no_grad()
@pytest.mark.parametrize(
    "switch", ["causal", "as_published_padding", "tied_alpha", "published_mlp", "aux_repeats"]
)
def test_every_switch_of_the_bundle_is_needed(switch):
    assert gap(auxformer("causal", **{switch: 1 if switch == "aux_repeats" else False})) > 1e-3
