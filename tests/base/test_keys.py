"""Keys change with what they name; ids that could do harm are refused."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avemo.base.contracts import AvemoError
from avemo.base.keys import checked_id, item_key, shard_of

TEXT = st.text(min_size=1, max_size=20)


def test_item_key_is_the_digest_of_its_parts() -> None:
    text = json.dumps(["media", "component", ["up"]], separators=(",", ":"))
    assert item_key("media", "component", ["up"]) == hashlib.sha256(text.encode()).hexdigest()[:32]


@given(st.tuples(TEXT, TEXT, st.lists(TEXT)), st.tuples(TEXT, TEXT, st.lists(TEXT)))
def test_keys_are_equal_only_for_equal_parts(left: tuple, right: tuple) -> None:
    assert (item_key(*left) == item_key(*right)) == (left == right)


@given(st.text(alphabet=st.characters(codec="utf-8"), min_size=1), st.integers(1, 500))
def test_shard_is_the_hash_modulo_the_count(clip_id: str, shards: int) -> None:
    expected = int(hashlib.sha256(clip_id.encode()).hexdigest()[:16], 16) % shards
    assert shard_of(clip_id, shards) == expected


def test_shards_are_filled_evenly() -> None:
    counts = [0] * 32
    for number in range(7442):
        counts[shard_of(f"{number:04d}_DFA_ANG_XX", 32)] += 1
    # 232.6 expected, standard deviation 15.
    assert min(counts) > 232.6 - 5 * 15
    assert max(counts) < 232.6 + 5 * 15


def test_no_shards_is_refused() -> None:
    with pytest.raises(AvemoError, match="at least 1 shard, found 0"):
        shard_of("a", 0)


BAD = [
    ("", "nothing"),
    ("..", "a path"),
    (".", "a path"),
    ("../../etc/passwd", "a path"),
    ("a/b", "a path"),
    ("a\\b", "a path"),
    ("a\0b", "does not print"),
    ("a\nb", "does not print"),
    ("a\x1b[31mb", "does not print"),
    ("a‮b", "does not print"),
    ("a\ud800", "does not print"),
    (" a", "a space"),
    ("x" * 201, "201 characters"),
]


@pytest.mark.parametrize(("clip_id", "found"), BAD)
def test_harmful_ids_are_refused(clip_id: str, found: str) -> None:
    with pytest.raises(AvemoError, match=found):
        checked_id(clip_id)


@pytest.mark.parametrize("clip_id", ["1001_DFA_ANG_XX", "_0efYOjQYRc[3]", "naïve clip 7", "x" * 200, "..a"])
def test_corpus_ids_pass_unchanged(clip_id: str) -> None:
    assert checked_id(clip_id) == clip_id
