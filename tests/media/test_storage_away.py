"""A storage that fails while packets are read is not taken for a file that ends there."""

from __future__ import annotations

import errno
from pathlib import Path

import av
import pytest

from avemo.base.contracts import ClipFailure, MachineError
from avemo.media import container, decoding, survey
from avemo.media.sound import read_sound
from avemo.media.survey import surveyed
from media_clips import RATE, clip, noise
from media_factory import write_sound


class Flaky:
    """A container whose packets stop with an input error after ``count``."""

    def __init__(self, opened, count):
        self._opened, self._count = opened, count

    def __getattr__(self, name):
        return getattr(self._opened, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._opened.close()

    def demux(self, *args):
        for number, packet in enumerate(self._opened.demux(*args)):
            if number == self._count:
                raise av.error.FFmpegError(errno.EIO, "Input/output error")
            yield packet


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    survey._surveyed.cache_clear()
    return write_sound(tmp_path / "a.flac", noise(3.0), RATE, "flac")


def flaky(monkeypatch, module, name, counts):
    """The packets of each opening stop after the next of ``counts``, then never."""
    opening, left = getattr(module, name), list(counts)

    def opened(*args):
        found = opening(*args)
        return Flaky(found, left.pop(0)) if left else found

    monkeypatch.setattr(module, name, opened)


def test_an_input_error_that_does_not_come_again_is_no_end(sound, monkeypatch):
    whole = surveyed(sound, "a")
    survey._surveyed.cache_clear()
    flaky(monkeypatch, survey, "open_media", [3])
    assert surveyed(sound, "a") == whole


def test_one_that_comes_again_at_the_same_place_is_the_files(sound, monkeypatch):
    flaky(monkeypatch, survey, "open_media", [3, 3])
    assert "Input/output error" in surveyed(sound, "a").stops


def test_one_that_comes_elsewhere_each_time_stops_the_job(sound, monkeypatch):
    flaky(monkeypatch, survey, "open_media", [3, 5, 4, 6, 2])
    with pytest.raises(MachineError, match=r"a.flac cannot be read: its packets stop elsewhere each time"):
        surveyed(sound, "a")


def test_decoding_that_stops_where_the_survey_went_on_stops_the_job(sound, monkeypatch):
    flaky(monkeypatch, decoding, "open_at", [3])
    with pytest.raises(MachineError, match=r"a.flac cannot be read now"):
        read_sound(clip(sound), 16000)


def test_a_container_that_opens_at_the_second_time_is_opened(sound, monkeypatch):
    opening, refused = av.open, []

    def once(*args, **kwargs):
        if not refused:
            refused.append(args)
            raise av.error.FFmpegError(errno.EIO, "Input/output error")
        return opening(*args, **kwargs)

    monkeypatch.setattr(av, "open", once)
    container.open_media(sound, "a").close()
    with monkeypatch.context() as patched:
        patched.setattr(av, "open", lambda *_, **__: refused.clear() or once())
        with pytest.raises(ClipFailure):
            container.open_media(sound, "a")
