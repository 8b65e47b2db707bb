"""Names of stored items: their keys, their shards, and which clip ids are fit to be stored."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from avemo.base.contracts import AvemoError, digest

ID_LENGTH = 200


def item_key(media: str, component: str, upstream: Sequence[str] = ()) -> str:
    """What one stored item depends on, as 32 hex digits: media, component, and keys it was computed from.

    ``component`` is `Extractor.key_part()`. The order of ``upstream`` counts.

    >>> item_key("ab", "c") == item_key("a", "bc")
    False
    """
    return digest([media, component, list(upstream)])


def shard_of(clip_id: str, shards: int) -> int:
    """The shard, 0 to ``shards - 1``, of a clip: its id alone decides, so new clips never move others.

    >>> [shard_of(name, 4) for name in ("1001_DFA_ANG_XX", "1001_DFA_HAP_XX")]
    [1, 2]
    """
    if shards < 1:
        raise AvemoError(f"{clip_id}: expected at least 1 shard, found {shards}; correct corpus.shards")
    return int.from_bytes(hashlib.sha256(clip_id.encode()).digest()[:8], "big") % shards


def united_id(corpus: str, name: str) -> str:
    """What a clip, speaker or group of a corpus is called among several corpora; ids of corpora have no colon.

    >>> united_id("savee", "DC_a01")
    'savee:DC_a01'
    """
    return f"{corpus}:{name}"


def parted_id(clip_id: str) -> tuple[str, str]:
    """The corpus and the name that `united_id` made one of.

    >>> parted_id("savee:DC_a01")
    ('savee', 'DC_a01')
    """
    corpus, _, name = clip_id.partition(":")
    return corpus, name


def checked_id(clip_id: str) -> str:
    """The id itself; raises `AvemoError` for one that could leave a folder or hide in a log."""
    problem = _problem(clip_id)
    if problem:
        raise AvemoError(
            f"clip id {clip_id[:60]!r}: expected 1 to {ID_LENGTH} printable characters "
            f"without / or \\, found {problem}; rename the clip in the clip table"
        )
    return clip_id


def _problem(clip_id: str) -> str:
    if not clip_id:
        return "nothing"
    if len(clip_id) > ID_LENGTH:
        return f"{len(clip_id)} characters"
    if not clip_id.isprintable():
        return "a character that does not print"
    if clip_id != clip_id.strip():
        return "a space at an end"
    if "/" in clip_id or "\\" in clip_id or clip_id in (".", ".."):
        return "a path"
    return ""
