"""What fine-tuning is asked for is checked before any job."""

import pytest

from avemo.base.contracts import AvemoError
from avemo.study.config import read_config
from avemo.study.tunings import read_tunings

SPEECH = {"table": "a.csv", "out": "weights/a", "config": {"weights": "random-seed-0"}}


def test_the_config_in_the_repository_is_valid(repository):
    found = read_tunings(read_config(repository / "config" / "finetuning.yaml"))
    assert list(found.kinds.values()) == ["speech", "faces"]
    assert found.by_folder["weights/wav2vec2_msp_podcast"].resume == "weights/.wav2vec2_msp_podcast.resume"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({}, "expected speech, faces or both"),
        ({"speach": SPEECH}, r"unknown key 'speach'; did you mean 'speech'\?"),
        ({"speech": SPEECH | {"tabel": "b"}}, r"unknown key 'speech.tabel'; did you mean 'table'\?"),
        (
            {"speech": SPEECH | {"config": {"weights": "w", "epoch": 1}}},
            r"'speech.config.epoch'; did you mean 'epochs'\?",
        ),
        ({"faces": SPEECH | {"config": {}}}, r"faces.config.weights: expected a value, found none"),
    ],
)
def test_a_mistake_is_named_by_its_key(raw, message):
    with pytest.raises(AvemoError, match=message):
        read_tunings(raw)
