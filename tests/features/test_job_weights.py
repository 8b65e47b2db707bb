"""A job's weights are those for which the workflow has named the folder."""

from __future__ import annotations

import pytest

from avemo.base.contracts import MachineError
from avemo.cli.extraction import _require_weights
from avemo.study.specs import ExtractSpec


def spec(*weights: str) -> ExtractSpec:
    return ExtractSpec(
        corpus="c",
        id="vgg-1",
        extractor="vgg_face_fc6",
        version=1,
        config={},
        compression="none",
        weights=list(weights),
    )


def test_a_job_that_finds_other_weights_than_the_workflow_stops():
    with pytest.raises(
        MachineError, match=r"vgg-1: expected weights, or a file, of aaaa, .*found bbbb; put the file back"
    ):
        _require_weights(spec("aaaa"), "bbbb")


def test_the_same_weights_and_extractors_that_have_none_go_on():
    _require_weights(spec("aaaa"), "aaaa")
    _require_weights(spec(), None)
