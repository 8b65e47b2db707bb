"""What the rooms of the house hand to each other.

Arrays are ``(frames, dim)``; times end in ``_s``, rates in ``_hz``.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from avemo.base.paths import expanded_all


class AvemoError(Exception):
    """An error for people: names the item, what was expected, what was found and the remedy."""

    exit_code = 1


class ConfigError(AvemoError):
    """What the user wrote is at fault, a config's key or an option: nothing was started."""

    exit_code = 2


class Status(StrEnum):
    """How one clip fared in one stage. Everything but ``ok`` is a recorded failure."""

    ok = "ok"
    missing_file = "missing_file"
    empty_file = "empty_file"
    lfs_pointer = "lfs_pointer"
    no_access = "no_access"
    not_media = "not_media"
    unreadable = "unreadable"
    truncated = "truncated"
    corrupt = "corrupt"
    discontinuous = "discontinuous"
    outside = "outside"
    wrong_scale = "wrong_scale"
    no_audio = "no_audio"
    no_video = "no_video"
    no_face = "no_face"
    not_imported = "not_imported"
    duplicate_id = "duplicate_id"
    invalid_features = "invalid_features"


REMEDIES: dict[Status, str] = {
    Status.missing_file: "correct the path in the clip table or restore the file",
    Status.empty_file: "copy the file again; it has no bytes",
    Status.lfs_pointer: "run `git lfs pull` in the corpus' clone; this is a pointer, not media",
    Status.no_access: "let whoever runs this read the file, or mount its storage again",
    Status.not_media: "give the media itself; texts that name other files are not followed",
    Status.unreadable: "re-encode the file, e.g. with ffmpeg; no decoder understands it",
    Status.truncated: "copy the file again; its streams end before the container says they do",
    Status.corrupt: "copy the file again, or leave the clip out; its decoder finds damage in too many frames",
    Status.discontinuous: "write the file's times anew, e.g. with ffmpeg; they jump where no join was found",
    Status.outside: "correct start_s and end_s in the clip table; they are seconds of the file",
    Status.wrong_scale: "save the sound with samples from -1 to 1, e.g. divided by 32768",
    Status.no_audio: "give audio_path, or use the clip as video only",
    Status.no_video: "give a file with a video stream, or use the clip as audio only",
    Status.no_face: "look at the clip; lower faces.config.thresholds if a face is there",
    Status.not_imported: "add the clip to the file that is imported, under this id, or leave it out",
    Status.duplicate_id: "give each row of the clip table an id of its own",
    Status.invalid_features: "look at the clip; if it is sound, the extractor is at fault",
}


class ClipFailure(AvemoError):
    """One clip cannot be processed; recorded with its status, never stops the run."""

    def __init__(self, status: Status, clip: str, detail: str):
        self.status, self.clip, self.detail = status, clip, detail
        super().__init__(f"{clip}: {status}: {detail}; {REMEDIES[status]}")


class MachineError(AvemoError):
    """The machine or what is installed on it is at fault, not the clip at hand: stops the run, never recorded."""


class Section(BaseModel):
    """Base of all settings: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ComponentConfig(Section):
    """Base of every component's ``Config``. ``~`` and ``$NAME`` in its paths are filled in."""

    @field_validator("*")
    @classmethod
    def _filled_in(cls, value: Any, info: ValidationInfo) -> Any:
        field = cls.model_fields[info.field_name or ""]
        located = isinstance(field.json_schema_extra, dict) and "located" in field.json_schema_extra
        paths = isinstance(value, Path) or (
            isinstance(value, tuple) and isinstance(next(iter(value), None), Path)
        )
        return expanded_all(value) if located or paths else value

    def numbers(self) -> dict[str, Any]:
        """The fields that change numbers, i.e. all but those declared with `speed` or `located`."""
        apart = {*self.speeds(), *self.places()}
        return {name: value for name, value in self.model_dump(mode="json").items() if name not in apart}

    def places(self) -> dict[str, Any]:
        """The fields declared with `located`."""
        return self._declared("located")

    def speeds(self) -> dict[str, Any]:
        """The fields declared with `speed`."""
        return self._declared("speed")

    def _declared(self, kind: str) -> dict[str, Any]:
        extras = {name: field.json_schema_extra for name, field in type(self).model_fields.items()}
        dumped = self.model_dump(mode="json")
        return {
            name: dumped[name] for name, extra in extras.items() if isinstance(extra, dict) and kind in extra
        }


def silent(default: Any, **kwargs: Any) -> Any:
    """A pydantic field that came after caches were filled: at its default, which is what was computed before, it is
    not written, and keys stay as they were.

    >>> class Config(ComponentConfig):
    ...     precision: str = silent("float32")
    >>> Config().numbers(), Config(precision="tf32").numbers()
    ({}, {'precision': 'tf32'})
    """
    return Field(default, exclude_if=lambda value: value == default, **kwargs)


def speed(default: Any, **kwargs: Any) -> Any:
    """A pydantic field that changes only speed or memory and so stays out of cache keys.

    >>> class Config(ComponentConfig):
    ...     size: int = 224
    ...     batch_size: int = speed(32)
    >>> Config(batch_size=8).numbers()
    {'size': 224}
    """
    return Field(default, json_schema_extra={"speed": True}, **kwargs)


def located(**kwargs: Any) -> Any:
    """A pydantic field, required unless given a default, that says where weights lie.

    What they are, their hash, enters keys instead.

    >>> class Config(ComponentConfig):
    ...     weights: str = located()
    >>> Config(weights="here.pt").numbers(), Config(weights="here.pt").places()
    ({}, {'weights': 'here.pt'})
    """
    return Field(json_schema_extra={"located": True}, **kwargs)


def left_out(default: Any = None, **kwargs: Any) -> Any:
    """A pydantic field that is written only where it says something, so that settings without it keep their text.

    >>> class Config(Section):
    ...     size: int = 224
    ...     note: str = left_out("")
    >>> Config().model_dump(), Config(note="x").model_dump()
    ({'size': 224}, {'size': 224, 'note': 'x'})
    """
    return Field(default, exclude_if=lambda value: value == default, **kwargs)


def digest(value: Any) -> str:
    """Sha-256 (first 16 bytes, hex) of a JSON-able value, independent of key order.

    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:32]


def canonical(value: Any) -> str:
    """A JSON-able value as the text that `digest` hashes."""
    return _CANONICAL.encode(value)


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)
"""Made once: a clip table asks for millions of texts."""


@dataclass(frozen=True)
class Clip:
    """One row of the clip table, media part. Either path may be None, not both.

    ``group`` is the unit that no split may separate: actor, dyad, source video.
    ``start_s``/``end_s`` select an interval of the file; ``end_s`` None means its end. ``half`` is the half of the
    picture, ``left`` or ``right``, of a film that shows two people side by side; "" means all of it.
    """

    clip_id: str
    speaker: str
    group: str
    audio_path: Path | None = None
    video_path: Path | None = None
    start_s: float = 0.0
    end_s: float | None = None
    half: str = ""


@dataclass(frozen=True)
class FeatureSequence:
    """Frames of one clip: ``x (frames, dim)`` and their times ``times_s (frames,)``.

    ``notes`` say in words what is odd about the media that they are made of.
    """

    x: np.ndarray
    times_s: np.ndarray
    notes: tuple[str, ...] = ()


TRACK_COLUMNS = (
    *("x0", "y0", "x1", "y1", "score"),
    *("left_eye_x", "left_eye_y", "right_eye_x", "right_eye_y", "nose_x", "nose_y"),
    *("mouth_left_x", "mouth_left_y", "mouth_right_x", "mouth_right_y"),
    *("status", "n_faces", "margin"),
)
"""Columns of a face track: box and landmarks in pixels, detector score, `TrackStatus`, faces seen, and the
clip's margin of choice, the same in every row: how far the chosen face's weight lies above the runner-up's,
as a fraction of its own (1: there was no other)."""


class TrackStatus:
    """Values of a track's ``status`` column: no face, one of a key frame, one near that in size, one on a line over a gap."""

    missing, detected, tracked, interpolated = 0.0, 1.0, 2.0, 3.0
