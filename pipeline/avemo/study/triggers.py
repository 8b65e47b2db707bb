"""What rules must run again for beside their settings: digests of media, tables and labels.

A workflow makes one `Triggers`, which asks each question once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from avemo.index.clip_table import ShardSummary, summarised
from avemo.study.file_contents import contents, label_contents, listing
from avemo.study.kept import source_digest
from avemo.study.study import Study

NOT_YET = "not indexed yet"
KEPT = Path(".avemo")
"""Folder of what is kept of clip tables."""


def keep_sums(index: Path, shards: int) -> None:
    """Sum a new clip table up where it is made, so that the workflow need not read it."""
    summarised(index, shards, KEPT, source_digest())


@dataclass(frozen=True, eq=False)
class Triggers:
    """Those of a study."""

    study: Study
    kept: Path = KEPT

    def files(self, corpus: str) -> str:
        """What a corpus' files are; raises `AvemoError` where they are not as they should be."""
        return _listing(self, corpus)

    def clips(self, corpus: str, shard: str) -> str:
        """Digest of a shard's own clips."""
        found = self._shards(corpus)
        return found[int(shard)].digest if found else NOT_YET

    def seconds(self, corpus: str, shard: str) -> float | None:
        """Seconds of media of a shard; None while there is no clip table."""
        found = self._shards(corpus)
        return found[int(shard)].seconds if found else None

    def count(self, corpus: str) -> int | None:
        """Clips of a corpus; None while there is no clip table."""
        found = self._shards(corpus)
        return sum(shard.clips for shard in found) if found else None

    def total_s(self, corpus: str) -> float | None:
        """Seconds of media of a corpus; None while there is no clip table."""
        found = self._shards(corpus)
        return sum(shard.seconds for shard in found) if found else None

    def longest_s(self, corpus: str) -> float | None:
        """Seconds of a corpus' longest clip; None while there is no clip table."""
        found = self._shards(corpus)
        return max((shard.longest_s for shard in found), default=0.0) if found else None

    def labels(self, run: str) -> str:
        """What the files hold that a run's labels are read from; indexing may make them."""
        return label_contents(self.study.runs[run]) if self.study.layouts[run].index.exists() else NOT_YET

    def published(self, run: str) -> str:
        """What the files hold that a run's partitions are read from."""
        return contents(self.study.runs[run].splits.files)

    def _shards(self, corpus: str) -> list[ShardSummary] | None:
        run = self.study.corpora[corpus]
        index = self.study.layouts[run.run].index
        try:
            mtime_ns = index.stat().st_mtime_ns
        except FileNotFoundError:
            return None
        # Kept on disk too: on a cluster every job asks for it again.
        return _summarised(self.kept, index, run.corpus.shards, mtime_ns)


@cache
def _listing(triggers: Triggers, corpus: str) -> str:
    return listing(triggers.study.corpora[corpus])


@cache
def _summarised(kept: Path, index: Path, shards: int, mtime_ns: int) -> list[ShardSummary]:
    return summarised(index, shards, kept, source_digest())
