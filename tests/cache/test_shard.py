"""Shards: what goes in comes out, and hostile or broken files say so."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from avemo.base.contracts import AvemoError, ClipFailure, Status
from avemo.cache.items import Item, storable
from avemo.cache.shard import Shard
from avemo.cache.shard_writer import write_shard
from cache_factory import FAILING, INFO, assert_same, flip_byte, flip_frame, ids, item_of, items_in


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "0000.h5"
    write_shard(path, [item_of(clip_id) for clip_id in ids(6)], INFO)
    return path


@st.composite
def item_lists(draw: st.DrawFn) -> list[Item]:
    names = draw(
        st.lists(
            st.text("abcé_[]- Ω", min_size=1, max_size=9).map(str.strip).filter(bool), unique=True, max_size=6
        )
    )
    dim = draw(st.integers(1, 5))
    items = []
    for name in names:
        if draw(st.booleans()):
            items.append(
                Item(name, draw(st.text("0f", max_size=3)), Status.no_audio, draw(st.text(max_size=20)))
            )
            continue
        frames = draw(st.integers(1, 6))
        x = draw(arrays(np.float32, (frames, dim), elements=st.floats(-9e4, 9e4, width=32)))
        times_s = draw(arrays(np.float64, frames, elements=st.floats(0, 1e6)))
        items.append(Item(name, "k", Status.ok, "", x, times_s))
    return items


@settings(max_examples=40)
@given(items=item_lists(), dtype=st.sampled_from(["float32", "float64"]))
def test_round_trip(items: list[Item], dtype: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("shards") / "shard.h5"
    write_shard(path, items, INFO, dtype)
    with Shard(path) as shard:
        assert (shard.info, shard.dtype, shard.verify()) == (INFO, dtype, [])
        frames = [item for item in items if item.x is not None]
        moments = shard.moments(item.clip_id for item in items)
        assert moments.count == sum(len(item.x) for item in frames)
        if frames:
            every = np.concatenate([item.x for item in frames]).astype(np.float64)
            np.testing.assert_allclose(moments.sum, every.sum(axis=0), rtol=1e-9, atol=1e-6)
            np.testing.assert_allclose(moments.squares, (every**2).sum(axis=0), rtol=1e-9)
    for stored, given_item in zip(items_in(path), items, strict=True):
        assert_same(stored, storable(given_item, dtype))


def test_float16_is_stored_as_such(tmp_path: Path) -> None:
    item = item_of("clip00")
    write_shard(tmp_path / "a.h5", [item], INFO, "float16")
    with Shard(tmp_path / "a.h5") as shard:
        np.testing.assert_array_equal(shard.read("clip00").x, item.x.astype(np.float16))


def test_streaming_makes_the_same_bytes(path: Path, tmp_path: Path) -> None:
    items = [item_of(clip_id) for clip_id in ids(6)]
    total = sum(len(item.x) for item in items if item.x is not None)
    write_shard(tmp_path / "streamed.h5", iter(items), INFO, shape=(total, 4))
    assert (tmp_path / "streamed.h5").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("compression", ["lzf", "gzip"])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_compression_changes_no_number(compression: str, dtype: str, path: Path, tmp_path: Path) -> None:
    items = [item_of(clip_id) for clip_id in ids(6)]
    write_shard(tmp_path / "a.h5", items, INFO, dtype, compression=compression)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["data"].compression == compression
    with Shard(tmp_path / "a.h5") as shard:
        assert shard.verify() == []
    for stored, item in zip(items_in(tmp_path / "a.h5"), items, strict=True):
        assert_same(stored, storable(item, dtype))


def test_repetitive_frames_shrink(tmp_path: Path) -> None:
    frames = np.zeros((5000, 64), np.float32)
    item = Item("a", "k", Status.ok, "", frames, np.arange(5000.0))
    sizes = {}
    for compression in ("none", "gzip"):
        path = tmp_path / f"{compression}.h5"
        write_shard(path, [item], INFO, compression=compression)
        sizes[compression] = path.stat().st_size
        with Shard(path) as shard:
            assert shard.verify() == []
    assert sizes["gzip"] < 0.1 * sizes["none"]


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_a_flipped_byte_of_a_compressed_shard_is_named(compression: str, tmp_path: Path) -> None:
    write_shard(tmp_path / "a.h5", [item_of(clip_id) for clip_id in ids(6)], INFO, compression=compression)
    with h5py.File(tmp_path / "a.h5") as file:
        data = file["data"].id
        position = data.get_offset() if compression == "none" else data.get_chunk_info(0).byte_offset
    flip_byte(tmp_path / "a.h5", position + 12)
    with Shard(tmp_path / "a.h5") as shard:
        assert 0 < len(shard.verify()) < 6


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_frames_can_be_read_into_a_part_of_an_array(dtype: str, tmp_path: Path) -> None:
    write_shard(tmp_path / "a.h5", [item_of(clip_id) for clip_id in ids(6)], INFO, dtype)
    with Shard(tmp_path / "a.h5") as shard:
        stored = shard.read("clip04").x
        batch = np.full((3, len(stored) + 2, 4), 7, np.float32)
        shard.read_into("clip04", batch[1, : len(stored)])
        np.testing.assert_array_equal(batch[1, : len(stored)], stored)
        assert (batch[[0, 2]] == 7).all()
        assert (batch[1, len(stored) :] == 7).all()
        with pytest.raises(ClipFailure, match="no face"):
            shard.read_into(FAILING, batch[0, :1])


def test_layout_is_contiguous_and_plain(path: Path) -> None:
    with h5py.File(path) as file:
        assert sorted(file) == ["data", "index", "squares", "sum", "times_s"]
        for dataset in file.values():
            assert dataset.chunks is None
            assert dataset.compression is None
            assert not dataset.dtype.hasobject
        lengths = file["index"]["length"]
        np.testing.assert_array_equal(file["index"]["offset"], np.cumsum(lengths) - lengths)
        assert len(file["data"]) == lengths.sum()


def test_a_failed_clip_is_read_as_its_failure(path: Path) -> None:
    with Shard(path) as shard, pytest.raises(ClipFailure, match="clip03: no_face: no face in 7 frames"):
        shard.read(FAILING)


def test_an_unknown_clip_is_named(path: Path) -> None:
    with Shard(path) as shard, pytest.raises(AvemoError, match="expected clip 'x', found 6 others"):
        shard.read("x")


@pytest.mark.parametrize(
    ("items", "shape", "message"),
    [
        ([item_of("clip00"), item_of("clip00")], None, "clip00: expected one item a clip, found two"),
        ([item_of("clip00"), item_of("clip01", dim=5)], None, "clip01: expected 4 dimensions .* found 5"),
        ([item_of("clip00")], (1000, 4), "expected 1000 frames in all"),
        ([item_of("clip00")], (0, 4), "at most 0 frames"),
    ],
)
def test_items_that_do_not_go_together_leave_no_file(
    items: list[Item], shape: tuple[int, int] | None, message: str, tmp_path: Path
) -> None:
    with pytest.raises(AvemoError, match=message):
        write_shard(tmp_path / "a.h5", items, INFO, shape=shape)
    assert list(tmp_path.iterdir()) == []


def test_a_flipped_byte_is_found_at_its_clip(path: Path) -> None:
    flip_frame(path, "clip04")
    with Shard(path) as shard:
        assert shard.verify() == ["clip04"]


def test_no_flipped_byte_passes_for_whole(path: Path) -> None:
    """Wherever a bit flips: the file is refused, or `verify` names clips, or nothing stored has changed."""
    before = [item_of(clip_id) for clip_id in ids(6)]
    positions = np.random.default_rng(0).choice(path.stat().st_size, 200, replace=False)
    found = {"refused": 0, "named": 0}
    for position in positions:
        flip_byte(path, int(position))
        try:
            with Shard(path) as shard:
                bad = shard.verify()
            found["named"] += bool(bad)
            if not bad:
                for stored, item in zip(items_in(path), before, strict=True):
                    assert_same(stored, item)
        except AvemoError:
            found["refused"] += 1
        flip_byte(path, int(position))
    assert min(found.values()) > 10


def set_index(row: int, field: str, value: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        index = file["index"][...]
        index[field][row] = value
        file["index"][...] = index

    return change


def set_text(name: str, value: bytes) -> Callable[[h5py.File], None]:
    return lambda file: file.attrs.__setitem__(name, np.bytes_(value))


def replaced(name: str, make: Callable[[h5py.File, str], object]) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        make(file, name)

    return change


def external_bytes(file: h5py.File, name: str) -> None:
    file.create_dataset(name, (1,), "<f8", external=[("/etc/hostname", 0, 8)])


def huge(file: h5py.File, name: str) -> None:
    file.create_dataset(name, (2**40, 4), "<f4")


HOSTILE: dict[str, tuple[Callable[[h5py.File], object], str]] = {
    "negative offset": (set_index(0, "offset", -1), "clip clip00: ok, frames -1"),
    "negative length": (set_index(0, "length", -5), "clip clip00"),
    "absurd length": (set_index(5, "length", 2**62), "frames, of which"),
    "length of a failed clip": (set_index(3, "length", 1), "clip clip03: no_face"),
    "overlap": (set_index(1, "offset", 0), "clip clip01"),
    "traversal": (set_index(0, "clip_id", b"../../x"), "found a path"),
    "same id twice": (set_index(0, "clip_id", b"clip01"), "clip clip01"),
    "unknown status": (set_index(0, "status", b"fine"), "'fine' is not a valid Status"),
    "not UTF-8": (set_index(0, "key", b"\xff\xfe"), "can't decode"),
    "other layout": (set_text("layout", b"avemo-shard/0"), "layout 'avemo-shard/0'"),
    "newer layout": (set_text("layout", b"avemo-shard/99"), "which a newer avemo has written"),
    "no layout": (lambda f: f.attrs.__delitem__("layout"), "'layout'"),
    "info no JSON": (set_text("info", b"{"), "Expecting property name"),
    "layout in the heap": (
        lambda f: f.attrs.__setitem__("layout", "avemo-shard/1"),
        "not a text of fixed length",
    ),
    "no data": (lambda f: f.__delitem__("data"), "no dataset data"),
    "fewer times": (replaced("times_s", lambda f, n: f.create_dataset(n, data=np.zeros(2))), "times_s"),
    "soft link": (replaced("data", lambda f, n: f.__setitem__(n, h5py.SoftLink("/sum"))), "no dataset data"),
    "other file": (
        replaced("data", lambda f, n: f.__setitem__(n, h5py.ExternalLink("other.h5", "x"))),
        "no dataset data",
    ),
    "group": (replaced("data", lambda f, n: f.create_group(n)), "no dataset data"),
    "bytes of another file": (replaced("times_s", external_bytes), "times_s not contiguous"),
    "tiny file, huge chunks": (
        replaced("data", lambda f, n: f.create_dataset(n, (2**40, 4), "<f4", chunks=(2**20, 4))),
        "in a file of",
    ),
    "large chunks": (
        replaced(
            "data", lambda f, n: f.create_dataset(n, (24, 4), "<f4", chunks=(2**20, 4), maxshape=(None, 4))
        ),
        "in chunks of",
    ),
    "chunked": (
        replaced("sum", lambda f, n: f.create_dataset(n, data=np.zeros((6, 4)), chunks=(1, 4))),
        "sum not contiguous",
    ),
    "no shape": (
        replaced("data", lambda f, n: f.create_dataset(n, data=h5py.Empty("f4"))),
        "data not contiguous",
    ),
    "huge": (replaced("data", huge), "in a file of"),
    "text as data": (
        replaced("data", lambda f, n: f.create_dataset(n, data=np.zeros((1, 4), "S4"))),
        "(beside data|data of)",
    ),
    "one-dimensional": (
        replaced("data", lambda f, n: f.create_dataset(n, data=np.zeros(3))),
        "not enough values",
    ),
    "plain index": (
        replaced("index", lambda f, n: f.create_dataset(n, data=np.zeros(6))),
        "index of float64",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_contents_are_refused(case: str, path: Path) -> None:
    change, message = HOSTILE[case]
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(AvemoError, match=message) as caught:
        Shard(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all", b"\x89HDF\r\n\x1a\n" + 100 * b"\0"])
def test_what_is_not_hdf5_is_refused(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    with pytest.raises(AvemoError, match=f"{path}: expected a whole feature shard"):
        Shard(path)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.99])
def test_a_truncated_shard_is_refused(share: float, path: Path) -> None:
    os.truncate(path, int(share * path.stat().st_size))
    with pytest.raises(AvemoError, match="expected a whole feature shard"):
        Shard(path)


def test_an_absent_shard_is_named(tmp_path: Path) -> None:
    with pytest.raises(AvemoError, match="none.h5: expected a whole feature shard"):
        Shard(tmp_path / "none.h5")


def test_an_unknown_dtype_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AvemoError, match="found 'int8'"):
        write_shard(tmp_path / "a.h5", [], INFO, "int8")


READERS: dict[str, Callable[[Shard, str], object]] = {
    "read": lambda shard, name: shard.read(name),
    "read into": lambda shard, name: shard.read_into(name, np.empty((shard.entry(name).length, 4), "f4")),
    "part": lambda shard, name: shard.read_into(name, np.empty((1, 4), "f4")),
    "cast": lambda shard, name: shard.read_into(name, np.empty((shard.entry(name).length, 4), "f8")),
    "item": lambda shard, name: shard.item(name),
    "moments": lambda shard, name: shard.moments([name]),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("dataset", ["data", "times_s", "sum", "squares"])
def test_no_way_of_reading_gives_a_clip_of_which_a_bit_has_flipped(
    reader: str, dataset: str, path: Path
) -> None:
    with h5py.File(path) as file:
        rows, begin = file[dataset], file[dataset].id.get_offset()
        row = int(file["index"]["offset"][2]) if dataset in ("data", "times_s") else 2
        position = begin + row * rows.dtype.itemsize * (rows.shape[1] if rows.ndim == 2 else 1)
    flip_byte(path, position)
    with Shard(path) as shard:
        READERS[reader](shard, "clip01")
        with pytest.raises(
            AvemoError, match=r"0000.h5: expected the bytes that were written.* in clip02; run"
        ):
            READERS[reader](shard, "clip02")
        assert shard.verify() == ["clip02"]


def test_the_reason_of_a_failed_clip_is_checked_too(path: Path) -> None:
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"no face in 7 frames", b"no face in 6 frames"))
    with Shard(path) as shard, pytest.raises(AvemoError, match=FAILING):
        shard.item(FAILING)


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_nothing_of_a_shard_is_mapped(compression, tmp_path, monkeypatch):
    """A mapped page that cannot be read ends the process, with nobody told."""
    path, item = tmp_path / "0000.h5", item_of("clip00")
    write_shard(path, [item], INFO, compression=compression)
    monkeypatch.setattr(mmap, "mmap", lambda *_, **__: pytest.fail("mapped"))
    with Shard(path) as shard:
        assert shard.verify() == []
        assert_same(shard.item("clip00"), item)
        for columns in (slice(1, 3), slice(0, None, 2)):
            np.testing.assert_array_equal(shard.read("clip00", columns).x, item.x[:, columns])
