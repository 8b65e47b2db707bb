"""MMSA's pickles: what they hold comes out as it was put in, and nothing that they name is ever called."""

from __future__ import annotations

import collections
import datetime
import operator
import os
import pickle
import pickletools
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from avemo.base.contracts import AvemoError
from avemo.cli.app import app
from avemo.features.imported import ImportedAudio, ImportedVisual
from avemo.features.mmsa_files import convert
from avemo.features.plain_pickle import read_plain_pickle

RNG = np.random.default_rng(0)
LENGTHS = {"train": [5, 2, 3], "valid": [4], "test": [1, 6]}
LONGEST = 8


def side(name: str, at_end: bool = True) -> dict[str, Any]:
    """One of MMSA's, as its README has it, padded at the end or the start."""
    lengths = LENGTHS[name]

    def padded(dim: int) -> np.ndarray:
        x = np.zeros((len(lengths), LONGEST, dim), np.float32)
        for row, length in enumerate(lengths):
            place = slice(0, length) if at_end else slice(LONGEST - length, LONGEST)
            x[row, place] = RNG.normal(size=(length, dim))
        return x

    return {
        "raw_text": np.array([f"words, {n}" for n in range(len(lengths))], object),
        "audio": padded(3),
        "vision": padded(2).astype(np.float64),
        "id": [f"{name}$_${n}" for n in range(len(lengths))],
        "text": padded(4),
        "text_bert": padded(3),
        "audio_lengths": lengths,
        "vision_lengths": np.array(lengths),
        "annotations": ["Positive"] * len(lengths),
        "classification_labels": np.arange(len(lengths)),
        "regression_labels": np.linspace(-1, 1, len(lengths)),
    }


def dictionary(at_end: bool = True) -> dict[str, Any]:
    return {name: side(name, at_end) for name in LENGTHS}


def write(path: Path, value: Any, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(value, protocol))
    return path


def real(data: dict[str, Any], name: str, row: int, key: str, at_end: bool = True) -> np.ndarray:
    """A clip's frames without padding."""
    length = LENGTHS[name][row]
    return data[name][key][row][:length] if at_end else data[name][key][row][LONGEST - length :]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("at_end", [True, False], ids=["padded at the end", "padded at the start"])
def test_frames_come_to_the_extractors_as_they_were_without_padding(protocol, at_end, tmp_path):
    data = dictionary(at_end)
    done = convert(write(tmp_path / "mosi.pkl", data, protocol), tmp_path / "out", allow_pickle=True)
    assert done.clips == {"clips.csv": 6, "audio.h5": 6, "visual.h5": 6}
    assert done.notes == ["left out, as there is no place for it: text, text_bert"]
    for kind, key, file in ((ImportedAudio, "audio", "audio.h5"), (ImportedVisual, "vision", "visual.h5")):
        extractor = kind(kind.Config(file=str(tmp_path / "out" / file), fps=10))
        for name, lengths in LENGTHS.items():
            for row in range(len(lengths)):
                found = extractor.read(f"{name}$_${row}")
                np.testing.assert_array_equal(found.x, real(data, name, row, key, at_end).astype(np.float32))
    table = pd.read_csv(tmp_path / "out" / "clips.csv")
    assert list(table.columns) == [
        *("clip_id", "side", "raw_text", "annotations", "classification_labels", "regression_labels"),
    ]
    assert table.clip_id.tolist() == [
        f"{name}$_${n}" for name, all_ in LENGTHS.items() for n in range(len(all_))
    ]
    assert table.raw_text[1] == "words, 1"
    assert table.regression_labels.tolist() == [*(-1, 0, 1), -1, *(-1, 1)]


def test_without_lengths_zeros_at_the_ends_are_padding_and_that_is_said(tmp_path):
    data = dictionary()
    for one in data.values():
        del one["audio_lengths"], one["vision_lengths"], one["text"], one["text_bert"]
    data["train"]["audio"][0, 0] = 0
    data["train"]["audio"][0, 2] = 0
    data["test"]["vision"][0] = 0
    done = convert(write(tmp_path / "aligned.pkl", data), tmp_path / "out", allow_pickle=True)
    assert done.clips["visual.h5"] == 5
    assert done.notes == [
        "audio: no lengths are given; frames of zeros at a clip's ends were taken for padding",
        "vision: no lengths are given; frames of zeros at a clip's ends were taken for padding",
        "vision: 1 clips without a frame, such as test$_$0, are left out",
    ]
    extractor = ImportedAudio(ImportedAudio.Config(file=str(tmp_path / "out" / "audio.h5"), fps=10))
    np.testing.assert_array_equal(extractor.read("train$_$0").x, data["train"]["audio"][0, 1:5])


def test_minus_infinity_becomes_nought_as_mmsa_reads_it_and_other_such_numbers_are_refused(tmp_path):
    data = dictionary()
    data["train"]["audio"][1, 0, 0] = -np.inf
    done = convert(write(tmp_path / "mosi.pkl", data), tmp_path / "out", allow_pickle=True)
    assert "audio: 1 values of minus infinity became 0, as MMSA reads them" in done.notes
    extractor = ImportedAudio(ImportedAudio.Config(file=str(tmp_path / "out" / "audio.h5"), fps=10))
    assert extractor.read("train$_$1").x[0, 0] == 0
    for wrong in (np.nan, np.inf, -1e300):
        data["valid"]["vision"][0, 1, 1] = wrong
        with pytest.raises(AvemoError, match=r"valid\$_\$0: expected numbers in vision that are finite"):
            convert(write(tmp_path / "nan.pkl", data), tmp_path / "other", allow_pickle=True)
        assert not (tmp_path / "other").exists()


def test_only_with_the_flag(tmp_path):
    source = write(tmp_path / "mosi.pkl", dictionary())
    with pytest.raises(AvemoError, match="--allow-pickle"):
        convert(source, tmp_path / "out")
    arguments = ["cache", "convert", str(source), "--out", str(tmp_path / "out")]
    assert CliRunner().invoke(app, arguments).exit_code != 0
    assert not (tmp_path / "out").exists()
    done = CliRunner().invoke(app, [*arguments, "--allow-pickle"])
    assert done.exit_code == 0, done.output
    assert f"{tmp_path / 'out' / 'audio.h5'}: 6 clips" in done.output
    assert "note: left out, as there is no place for it: text, text_bert" in done.output
    with pytest.raises(AvemoError, match="expected a new folder"):
        convert(source, tmp_path / "out", allow_pickle=True)


class Runs:
    """Calls a function when it is unpickled."""

    def __init__(self, function: Any, *arguments: Any):
        self.call = function, arguments

    def __reduce__(self) -> tuple:
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    ("made", "named"),
    [
        (lambda ran: Runs(Path.touch, ran), r"pathlib\..*|builtins\.getattr|__builtin__\.getattr"),
        (lambda ran: Runs(os.mkdir, str(ran)), r"posix\.mkdir"),
        (lambda ran: Runs(eval, f"open({str(ran)!r}, 'w')"), r"(builtins|__builtin__)\.eval"),
        (lambda _: Runs(operator.attrgetter("x")), r"operator\.attrgetter"),
        (lambda _: collections.OrderedDict(a=1), r"collections\.OrderedDict"),
        (lambda _: pd.Series([1.0]), r"pandas\..*|copy_reg\._reconstructor"),
        (lambda _: datetime.date(2020, 1, 1), r"datetime\.date"),
        (lambda _: {1, 2}, r"an object of type set|(builtins|__builtin__)\.set"),
        (lambda _: np.array(["2020"], "M8[D]"), r"an array of 'M8'"),
        (lambda _: np.zeros(1, [("a", int)]), r"an array of 'V8'"),
        (lambda _: np.ma.masked_array([1.0]), r"numpy\.ma\..*"),
        (lambda _: {("a",): 1}, r"a dictionary with keys of type tuple"),
    ],
)
def test_what_is_no_array_and_not_plain_is_named_and_not_run(protocol, made, named, tmp_path):
    ran = tmp_path / "ran"
    data = dictionary() | {"valid": {"id": [], "more": [made(ran)]}}
    source = write(tmp_path / "bad.pkl", data, protocol)
    with pytest.raises(AvemoError, match=rf"found ({named}); none of it was run"):
        convert(source, tmp_path / "out", allow_pickle=True)
    assert not ran.exists()
    assert not (tmp_path / "out").exists()


def built(*opcodes: bytes) -> bytes:
    return b"\x80\x02" + b"".join(opcodes) + b"."


GET = b"cnumpy.core.multiarray\n_reconstruct\n"
NDARRAY, DTYPE = b"cnumpy\nndarray\n", b"cnumpy\ndtype\n"
START = GET + b"(" + NDARRAY + b"K\x00\x85U\x01btR"
"""An array before it has a state."""


@pytest.mark.parametrize(
    "content",
    [
        built(START, b"(K\x01K\x05\x85", DTYPE, b"U\x02f8K\x00K\x01\x87R\x89U\x08abcdefghtb"),  # five of one
        built(
            START, b"(K\x01J\xff\xff\xff\xff\x85", DTYPE, b"U\x02f8K\x00K\x01\x87R\x89U\x00tb"
        ),  # less than none
        built(
            START, b"(K\x01K\x01\x85", DTYPE, b"U\x02O8K\x00K\x01\x87R\x89U\x08abcdefghtb"
        ),  # forged pointers
        built(START, b"(K\x01K\x01\x85U\x02f8\x89U\x08abcdefghtb"),  # a text for a type
        built(START, b"K\x01b"),  # a number for a state
        built(START),  # an empty array: legal, but no dictionary
        built(DTYPE, b"U\x02f8\x85R"),  # a type by itself
        built(GET),  # the function by itself
        built(GET, b"}U\x08functionU\x01xsb"),  # a function with a state
        built(GET, b"N}U\x08functionU\x01xs\x86b"),  # set as an attribute
        built(NDARRAY, b")\x81"),  # a class made without its function
        built(b"Pname\n"),  # something outside
        built(b"cos\nsystem\nU\x04true\x85R"),
        b"",
        b"not a pickle",
    ],
)
def test_forged_pieces_are_refused_without_harm(content, tmp_path):
    (tmp_path / "forged.pkl").write_bytes(content)
    with pytest.raises(AvemoError, match="forged.pkl: expected"):
        convert(tmp_path / "forged.pkl", tmp_path / "out", allow_pickle=True)


SOUND = {"train": side("valid")}


@settings(max_examples=150)
@given(data=st.data())
def test_a_damaged_pickle_is_read_or_refused(data, tmp_path_factory):
    whole = bytearray(pickle.dumps(SOUND, data.draw(st.integers(0, pickle.HIGHEST_PROTOCOL))))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "x.pkl"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    # Any other error than this fails the test.
    with suppress(AvemoError):
        convert(path, path.with_name("out"), allow_pickle=True)


LOOSE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
) | st.sampled_from(
    [
        *(
            10**5000,
            -(10**400),
            b"\xff",
            np.array(1.5),
            np.zeros(3),
            np.zeros((3, 2, 1)),
            np.array(["a"] * 3),
        ),
        *(np.full((3, 2, 1), -1e300), np.array([None, [1], "a"], object), [[[1]], [[1], [1, 2]], [[1]]]),
    ]
)
"""What a key may have instead of what it should."""


@settings(max_examples=300)
@given(data=st.data())
def test_a_dictionary_of_anything_is_converted_or_refused(data, tmp_path_factory):
    whole = side("train")
    key = data.draw(st.sampled_from([*whole, 7, "\ud800"]))
    values = whole.get(key)
    if isinstance(values, list | np.ndarray) and data.draw(st.booleans()):
        whole[key] = [data.draw(LOOSE), *list(values)[1:]]
    else:
        whole[key] = data.draw(LOOSE)
    path = write(tmp_path_factory.mktemp("loose") / "x.pkl", {"train": whole})
    # Any other error than this fails the test.
    with suppress(AvemoError):
        convert(path, path.with_name("out"), allow_pickle=True)


def test_texts_that_are_none_and_huge_integers_are_refused_as_such(tmp_path):
    texts = np.array([0x110000], "<u4").tobytes()
    state = b"(K\x03U\x01<NNNK\x04K\x04K\x00tb"
    forged = built(
        START, b"(K\x01K\x01\x85", DTYPE, b"U\x02U1K\x00K\x01\x87R", state, b"\x89U\x04", texts, b"tb"
    )
    (tmp_path / "texts.pkl").write_bytes(forged)
    with pytest.raises(AvemoError, match="found texts of characters that are none"):
        read_plain_pickle(tmp_path / "texts.pkl")
    with pytest.raises(AvemoError, match="found an integer of 16610 bits"):
        read_plain_pickle(write(tmp_path / "huge.pkl", [10**5000]))


ARRAYS = [
    np.arange(6).reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(24.0).reshape(2, 3, 4)[:, ::2],
    np.array(["a", "bcd", "é"]),
    np.array([b"a", b"bc"]),
    np.array([1.5, -2], ">f4"),
    np.array([True, False]),
    np.zeros((0, 3), np.float16),
    np.array(3.0),
    np.array(["words", None, 1.5, "é"], object),
    np.array(["🙂", "\U0010ffff"]),
]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("array", ARRAYS, ids=lambda one: f"{one.dtype}{one.shape}")
def test_arrays_come_as_numpy_wrote_them(protocol, array, tmp_path):
    source = write(tmp_path / "x.pkl", {"x": array, "y": [array, array], "n": np.float32(1.5)}, protocol)
    found = read_plain_pickle(source)
    assert found["x"].dtype == array.dtype
    np.testing.assert_array_equal(found["x"], array)
    assert found["y"][0] is found["y"][1]
    assert found["n"] == 1.5
    assert "numpy" in "".join(str(arg) for _, arg, _ in pickletools.genops(source.read_bytes()))


def test_pickles_of_numpy_one_and_of_python_two_are_read(tmp_path):
    """Their names and texts, which today's libraries do not write."""
    old = pickle.dumps({"x": np.arange(3.0)}, 2).replace(b"numpy._core.", b"numpy.core.")
    assert b"numpy.core.multiarray" in old
    (tmp_path / "old.pkl").write_bytes(old)
    np.testing.assert_array_equal(read_plain_pickle(tmp_path / "old.pkl")["x"], np.arange(3.0))
    raw = np.array([1.5]).tobytes()
    state = (
        b"(K\x01K\x01\x85"
        + DTYPE
        + b"U\x02f8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    (tmp_path / "two.pkl").write_bytes(built(START, state, b"\x89U\x08" + raw + b"tb"))
    np.testing.assert_array_equal(read_plain_pickle(tmp_path / "two.pkl"), [1.5])


def test_what_is_no_dictionary_of_mmsa_is_refused(tmp_path):
    whole = dictionary()
    cases = [
        (
            {"features": 1},
            "expected MMSA's dictionary, train, valid, test with an `id` for each clip, found features",
        ),
        ([1], "found list"),
        ({"train": {"audio": []}}, "with an `id` for each clip"),
        ({"train": {"id": ["a"], "text": [1]}}, "expected audio or vision of a side, found neither"),
        (whole | {"test": whole["train"]}, r"expected clip train\$_\$0 once, found it in train and in test"),
        (
            {"train": whole["train"] | {"id": ["a", "b"]}},
            r"expected 2 of raw_text in train, one a clip, found 3",
        ),
        (
            {"train": whole["train"] | {"audio_lengths": [9, 1, 1]}},
            r"train\$_\$0: expected a length up to 8, found 9",
        ),
        (
            {"train": whole["train"] | {"audio": np.ones((3, 8))}},
            r"train\$_\$0: expected audio \(frames, dim\)",
        ),
        ({"train": whole["train"] | {"id": ["../a", "b", "c"]}}, "expected 1 to 200 printable characters"),
        (
            {"train": whole["train"] | {"raw_text": [["a", "b"], "c", "d"]}},
            r"expected a text or a number, found list",
        ),
        (
            {"train": whole["train"] | {"vision_lengths": ["five", 2, 3]}},
            r"train\$_\$0: expected a length up to 8, found five",
        ),
        (
            {"train": whole["train"] | {"audio": [[[1.0], [1.0, 2.0]]] * 3}},
            r"train\$_\$0: expected audio \(frames, dim\), found object",
        ),
        ({"train": whole["train"] | {"id": 3}}, "expected a list of id in train, one a clip, found int"),
        ({"train": whole["train"] | {3: 3}}, "expected texts as keys of train, found 3"),
    ]
    for number, (value, words) in enumerate(cases):
        source = write(tmp_path / f"{number}.pkl", value)
        with pytest.raises(AvemoError, match=words):
            convert(source, tmp_path / "out", allow_pickle=True)
        assert not (tmp_path / "out").exists()
