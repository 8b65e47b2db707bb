"""What the demo corpus holds and how hard it is."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from avemo.base.contracts import ComponentConfig, speed

Sentence = Literal["DFA", "IEO", "IOM", "ITH", "ITS", "IWL", "IWW", "MTI", "TAI", "TIE", "TSI", "WSI"]


class DemoConfig(ComponentConfig):
    """Who acts which sentences, how they are recorded, how hard they are to read.

    The default has 24 actors x 23 takes: five emotions at three intensities,
    once neutral, all six again with another sentence, and one more neutral take.
    """

    actors: int = Field(24, ge=1, le=999)
    """Actors, named from 1001 on, alternating between a male and a female voice."""
    graded: tuple[Sentence, ...] = ("IEO",)
    """Sentences acted at LO, MD and HI intensity, and once neutral (XX)."""
    plain: tuple[Sentence, ...] = ("DFA",)
    """Sentences acted once in each emotion, at an intensity drawn at random (XX)."""
    neutral: tuple[Sentence, ...] = ("IOM",)
    """Sentences acted only neutrally, so that neutral is not rare."""
    seed: int = Field(1, ge=0)
    size_px: int = Field(160, ge=96, le=640, multiple_of=2)
    """Width and height of the picture."""
    fps: int = Field(15, ge=5, le=30)
    seconds: float = Field(1.4, gt=0.6, le=6)
    """Mean duration of a clip; the voice's rate moves each one about it."""
    container: Literal["flv", "mp4"] = "flv"
    """``flv``: FLV1 and MP3 as in CREMA-D's VideoFlash; ``mp4``: H.264 and AAC."""
    face_gap: float = Field(0.3, ge=0, le=1)
    """How far a face's confusable pairs stay apart: 0 not at all, 1 as in the prototype table."""
    voice_gap: float = Field(0.3, ge=0, le=1)
    """The same for the voice."""
    spread: float = Field(0.16, ge=0, le=1)
    """Standard deviation of each take's deviation from its prototype, per axis."""
    jobs: int = speed(0, ge=0)
    """Processes that render; 0 takes one per processor."""

    @model_validator(mode="after")
    def _each_sentence_once(self) -> Self:
        every = [*self.graded, *self.plain, *self.neutral]
        twice = sorted({sentence for sentence in every if every.count(sentence) > 1})
        if twice or not every:
            raise ValueError(
                f"expected each sentence in one of graded, plain and neutral, found {twice or 'none at all'}"
            )
        return self
