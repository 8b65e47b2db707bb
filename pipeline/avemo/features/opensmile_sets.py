"""Descriptors of openSMILE's feature sets as they come: ComParE 2016 and eGeMAPS v02, every 10 ms."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from avemo.base.contracts import ComponentConfig
from avemo.features.opensmile_lld import (
    Framing,
    OpenSmileLLD,
    open_config,
    open_smile,
    package_config,
    write_main,
    write_shared,
)

if TYPE_CHECKING:
    from opensmile.core.lib import OpenSMILE

INCLUDED = "../../gemaps/v01b/GeMAPSv01b_core.lld.conf.inc", "eGeMAPSv02_core.lld.conf.inc"
LEVELS = "egemapsv02_lldsetE_smo", "egemapsv02_lldsetF_smo"
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

    openSMILE's installed configuration, but without its summaries of the whole
    clip, which hold it in memory. Rows and times as `Compare2016`.
    """

    name = "egemaps"
    version = 1
    dim = 25

    class Config(ComponentConfig):
        """Nothing to choose."""

    def _open(self) -> OpenSMILE:
        self.framing = FRAMING
        with tempfile.TemporaryDirectory(prefix="avemo-opensmile-") as name:
            folder = Path(name)
            write_shared(folder)
            for part in ("egemaps/v02", "gemaps/v01b"):
                shutil.copytree(package_config() / part, folder / part)
            main = write_main(folder / "egemaps/v02", INCLUDED, LEVELS)
            return open_config(main, "lldall", self.rate_hz, folder / "shared")
