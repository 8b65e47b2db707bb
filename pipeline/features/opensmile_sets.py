"""Descriptors of openSMILE's feature sets as they come: ComParE 2016 and eGeMAPS v02, every 10 ms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.contracts import ComponentConfig
from pipeline.features.opensmile_lld import Framing, OpenSmileLLD, open_config, open_smile, package_config

if TYPE_CHECKING:
    from opensmile.core.lib import OpenSMILE

FRAMING = Framing(step_s=0.010, pitch_window_s=0.060, spectral_window_s=0.020)


class Compare2016(OpenSmileLLD):
    """65 descriptors of ComParE 2016 (Schuller et al., Interspeech 2016), then their 65 deltas.

    Rows are those of ``opensmile.Smile("ComParE_2016")``, its surplus last one
    dropped: ``(n - 960) // 160 + 1`` for ``n`` samples. Times are the centres of
    the 20 ms windows, ``0.010 i + 0.010`` s; the pitch group's 60 ms windows
    have theirs 20 ms later.
    """

    name = "compare_2016"
    version = 1
    dim = 130

    class Config(ComponentConfig):
        """Nothing to choose."""

    def _open(self) -> OpenSMILE:
        self.framing = FRAMING
        return open_smile(self.framing, self.rate_hz)


class EGeMAPS(OpenSmileLLD):
    """The 25 descriptors of eGeMAPS v02 (Eyben et al., IEEE Trans. Affective Computing 7(2), 2016).

    openSMILE runs its installed configuration untouched, whose summaries keep
    the whole clip in memory: 3 GB for two hours (measured). Rows and times as
    `Compare2016`.
    """

    name = "egemaps"
    version = 1
    dim = 25

    class Config(ComponentConfig):
        """Nothing to choose."""

    def _open(self) -> OpenSMILE:
        self.framing = FRAMING
        return open_config(package_config() / "egemaps/v02/eGeMAPSv02.conf", "lld", self.rate_hz)
