"""What `workflow/finetuning.smk` is to tune, checked before any job starts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import model_validator

from avemo.base.contracts import Section
from avemo.base.paths import InRules, expanded
from avemo.study.config import parse
from avemo.weights.find import quick_identity


class Tuning(Section):
    """One network: the table of its examples, the folder to write, and the fields of its schedule."""

    table: Annotated[str, InRules]
    out: Annotated[str, InRules]
    config: dict[str, Any]

    @property
    def weights(self) -> str:
        """What it starts from, wherever that lies."""
        return quick_identity(expanded(self.config["weights"]))

    @property
    def resume(self) -> str:
        """Where its checkpoints lie."""
        out = Path(self.out)
        return str(out.with_name(f".{out.name}.resume"))


class Tunings(Section):
    """Networks behind extractors; leave out what is not to be tuned."""

    speech: Tuning | None = None
    faces: Tuning | None = None

    @model_validator(mode="after")
    def _something(self) -> Tunings:
        if self.speech is None and self.faces is None:
            raise ValueError("expected speech, faces or both; say what to tune")
        return self

    @property
    def kinds(self) -> dict[str, str]:
        """``speech`` or ``faces`` by the folder to write."""
        return {
            tuning.out: kind for kind, tuning in (("speech", self.speech), ("faces", self.faces)) if tuning
        }

    @property
    def by_folder(self) -> dict[str, Tuning]:
        """The tunings by the folder to write."""
        return {tuning.out: tuning for tuning in (self.speech, self.faces) if tuning}


def read_tunings(raw: dict[str, Any]) -> Tunings:
    """Every key checked; raises `AvemoError` naming the key, what was found and the nearest valid key."""
    from avemo.finetuning.faces import FaceTuning
    from avemo.finetuning.speech import SpeechTuning

    found = parse(Tunings, raw, "")
    if found.speech:
        parse(SpeechTuning, found.speech.config, "speech.config")
    if found.faces:
        parse(FaceTuning, found.faces.config, "faces.config")
    return found
