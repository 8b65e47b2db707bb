"""Clips that share batches: the numbers that each has alone, failures of their own, few and full batches."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from avemo.features.shared_batches import SharedBatches, places_alike
from avemo.features.vgg_face import VGGFaceFC6
from avemo.features.vgg_network import Shape

SIZE = 16


class Network:
    """Sums of pictures, any of which may be poison; remembers what it was given, and whether by two at once."""

    def __init__(self, poison: int | None = None):
        self.sizes: list[int] = []
        self.poison, self.alone, self.slow = poison, threading.Lock(), threading.Event()

    def __call__(self, images: np.ndarray) -> np.ndarray:
        assert self.alone.acquire(blocking=False), "two batches at once"
        try:
            self.sizes.append(len(images))
            self.slow.wait(0.002)
            if self.poison is not None and (images == self.poison).all((1, 2, 3)).any():
                raise ValueError("poison")
            return images.reshape(len(images), -1).sum(1, dtype=np.float32)[:, None]
        finally:
            self.alone.release()


def pictures(value: int, count: int) -> np.ndarray:
    """So many pictures of one clip: its number in every pixel."""
    return np.full((count, 2, 2, 3), value, np.uint8)


def embedded(shared: SharedBatches, value: int, counts: list[int]) -> np.ndarray:
    with shared.clip():
        return np.concatenate([shared.rows(pictures(value, count)) for count in counts])


def together(
    network: Network, clips: dict[int, list[int]], threads: int
) -> dict[int, np.ndarray | Exception]:
    shared = SharedBatches(network, SIZE)
    with ThreadPoolExecutor(threads) as pool:
        begun = {value: pool.submit(embedded, shared, value, counts) for value, counts in clips.items()}
        return {value: each.exception(timeout=60) or each.result() for value, each in begun.items()}


@pytest.mark.parametrize("threads", [1, 2, 5, 12])
def test_each_clip_has_its_own_rows_and_batches_are_of_one_size(threads):
    rng = np.random.default_rng(0)
    clips = {value: rng.integers(1, SIZE + 1, rng.integers(1, 5)).tolist() for value in range(1, 41)}
    network = Network()
    found = together(network, clips, threads)
    for value, counts in clips.items():
        assert np.array_equal(found[value], np.full((sum(counts), 1), 12.0 * value, np.float32))
    assert set(network.sizes) == {SIZE}


def test_clips_that_end_together_share_a_batch():
    """Eight clips of four pictures fill two batches; alone they would take eight."""
    network, gate = Network(), threading.Barrier(8)
    shared = SharedBatches(network, SIZE)

    def clip(value):
        with shared.clip():
            gate.wait(10)
            return shared.rows(pictures(value, 4))

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(clip, range(1, 9)))
    assert [float(rows[0, 0]) for rows in found] == [12.0 * value for value in range(1, 9)]
    assert network.sizes == [SIZE, SIZE]


@pytest.mark.parametrize("threads", [2, 6])
def test_a_picture_that_fails_is_its_own_clips_failure(threads):
    found = together(Network(poison=7), {value: [5, 9, 3] for value in range(1, 13)}, threads)
    failed = {value for value, rows in found.items() if isinstance(rows, Exception)}
    assert failed == {7}
    assert all(len(rows) == 17 for value, rows in found.items() if value not in failed)


def test_a_clip_whose_media_fail_keeps_nobody_waiting():
    shared, begun = SharedBatches(Network(), SIZE), threading.Barrier(2)

    def broken():
        with shared.clip():
            begun.wait(10)
            raise OSError("media")

    def whole():
        with shared.clip():
            begun.wait(10)
            return shared.rows(pictures(3, 2))

    with ThreadPoolExecutor(2) as pool:
        failure, rows = pool.submit(broken), pool.submit(whole)
        assert len(rows.result(10)) == 2
        assert isinstance(failure.exception(10), OSError)


def test_a_device_whose_places_differ_is_found():
    def whole(images):
        return images.reshape(len(images), -1).sum(1, dtype=np.float32)[:, None]

    def by_place(images):
        rows = whole(images)
        rows[-1] = np.nextafter(rows[-1], np.inf)
        return rows

    def by_neighbour(images):
        rows = whole(images)
        return rows if (images[0] == images[0].flat[0]).all() else rows + np.roll(rows, 1, axis=0) * 1e-6

    def by_padding(images):
        return whole(images) + np.float32(1e-3 * (images[-1] == 0).all())

    assert places_alike(whole, SIZE, 4)
    assert not any(places_alike(forward, SIZE, 4) for forward in (by_place, by_neighbour, by_padding))


class TinyFC6(VGGFaceFC6):
    shape, dim = Shape(width=2, px=32, hidden=12), 12


def opened() -> TinyFC6:
    return TinyFC6(TinyFC6.Config(weights="random-seed-1", device="cpu", batch_size=SIZE))


def crops(seed: int, count: int):
    rng = np.random.default_rng(seed)
    return [(n / 25, rng.integers(0, 256, (32, 32, 3), np.uint8)) for n in range(count)]


@pytest.mark.parametrize("threads", [1, 5])
def test_an_extractors_rows_have_the_same_bits_whoever_the_neighbours_are(threads):
    """Those of a batch of the same size, of which the clip has the first places, and black pictures the others."""
    extractor = opened()
    extractor.share()
    assert extractor._shared is not None, "on this CPU places make no difference"
    clips = {seed: crops(seed, 5 + 7 * seed % 40) for seed in range(12)}
    with ThreadPoolExecutor(threads) as pool:
        found = dict(zip(clips, pool.map(extractor.extract, clips.values()), strict=True))
    for seed, clip in clips.items():
        alone = opened()
        alone.share()
        expected = alone.extract(clip)
        assert np.array_equal(found[seed].x, expected.x)
        assert np.array_equal(found[seed].times_s, expected.times_s)
        np.testing.assert_allclose(found[seed].x, opened().extract(clip).x, rtol=1e-5, atol=1e-6)


def test_where_places_differ_each_clip_has_batches_of_its_own(monkeypatch, capsys):
    extractor, clip = opened(), crops(0, 21)
    expected = extractor.extract(clip).x
    monkeypatch.setattr("avemo.features.crop_network.places_alike", lambda *_: False)
    extractor.share()
    assert extractor._shared is None
    assert (
        "vgg_face_fc6: on cpu what is made of a picture depends on its place among 16"
        in capsys.readouterr().out
    )
    assert np.array_equal(extractor.extract(clip).x, expected)


def test_no_more_than_a_batch_of_each_thread_waits():
    """Memory is bounded by threads, however many clips there are and however long."""
    extractor, most = opened(), 0
    extractor.share()
    shared = extractor._shared
    whole = shared._forward

    def forward(images):
        nonlocal most
        most = max(most, sum(len(asked.images) for asked in shared._asked))
        return whole(images)

    shared._forward = forward
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(extractor.extract, [crops(seed, 100) for seed in range(6)]))
    assert 0 < most <= 3 * SIZE
