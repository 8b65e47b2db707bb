"""Frames in memory and in a temporary file are the same frames."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import avemo.base.frames
from avemo.base.contracts import AvemoError, Status
from avemo.base.frames import FrameBuffer, blocks
from avemo.cache.items import Item, checksum, moments_of, storable
from avemo.cache.shard import Shard
from avemo.cache.shard_writer import write_shard

SIZES = st.lists(st.integers(0, 9), max_size=12)


@given(sizes=SIZES, limit=st.sampled_from([0, 40, 10**9]), dtype=st.sampled_from(["<f4", "<f2", "u1"]))
@settings(max_examples=60)
def test_a_buffer_holds_what_it_was_given(sizes, limit, dtype):
    rng = np.random.default_rng(0)
    given_blocks = [rng.integers(0, 200, (size, 3)).astype(np.float64) for size in sizes]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(avemo.base.frames, "MEMORY_BYTES", limit)
        buffer = FrameBuffer((3,), dtype)
        for block in given_blocks:
            buffer.append(block)
        x = buffer.array()
    expected = np.concatenate([np.empty((0, 3)), *given_blocks])
    assert x.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(x, expected)
    assert isinstance(x, np.memmap) == (x.nbytes > limit)


@given(frames=st.integers(0, 50), limit=st.integers(1, 100))
@settings(max_examples=60)
def test_blocks_are_the_whole_in_order(frames, limit):
    x = np.arange(2 * frames, dtype=np.float32).reshape(frames, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(avemo.base.frames, "BLOCK_BYTES", limit)
        parts = list(blocks(x))
    assert all(0 < part.nbytes <= max(limit, 8) for part in parts)
    np.testing.assert_array_equal(np.concatenate([np.empty((0, 2)), *parts]), x)


@pytest.fixture
def spilled(monkeypatch):
    """400 frames of a clip, in a temporary file, read in blocks of 16."""
    monkeypatch.setattr(avemo.base.frames, "MEMORY_BYTES", 0)
    monkeypatch.setattr(avemo.base.frames, "BLOCK_BYTES", 16 * 5 * 4)
    buffer = FrameBuffer((5,), np.float32)
    buffer.append(np.random.default_rng(3).normal(size=(400, 5)))
    return buffer.array()


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_spilled_clip_is_stored_as_one_in_memory(spilled, tmp_path, dtype):
    times_s = np.arange(400) / 25
    for name, x in (("memory", np.array(spilled)), ("file", spilled)):
        write_shard(tmp_path / name, [Item("clip", "k", Status.ok, "", x, times_s)], {}, dtype)
    assert (tmp_path / "memory").read_bytes() == (tmp_path / "file").read_bytes()
    with Shard(tmp_path / "file") as shard:
        np.testing.assert_array_equal(shard.read("clip").x, np.array(spilled).astype(dtype))
        np.testing.assert_array_equal(shard.item("clip").x, shard.read("clip").x)


def test_a_bad_frame_is_found_in_any_block(spilled):
    x = np.array(spilled)
    x[333, 2] = np.nan
    with pytest.raises(AvemoError, match="found 1 NaN .* in x, the first in frame 333"):
        storable(Item("clip", "k", Status.ok, "", x, np.arange(400.0)), "float32")


def test_moments_and_checksum_see_every_block(spilled):
    x = np.array(spilled)
    moments = moments_of(spilled)
    np.testing.assert_allclose(moments.sum, x.sum(0, dtype=float), atol=1e-9)
    np.testing.assert_allclose(moments.squares, np.square(x, dtype=float).sum(0), rtol=1e-12)
    item = Item("clip", "k", Status.ok, "", x, np.arange(400.0))
    before = checksum(item, moments)
    x[399, 4] += 1
    assert checksum(item, moments) != before
