"""YAML that people wrote: what is read, and what is refused with its line."""

import time
from pathlib import Path

import pytest

from avemo.base.contracts import ConfigError
from avemo.base.yaml_files import parse_yaml, read_yaml

WHERE = Path("mine.yaml")
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 20)
)
REFUSED = [
    ("a: 1\nb: 2\na: 3", r"line 3: expected the key 'a' once in its mapping, found it in line 1 too"),
    (
        "s:\n  x: {k: 1}\n  'x': {k: 2}",
        "line 3: expected the key 'x' once in its mapping, found it in line 2",
    ),
    ("- {a: 1, a: 1}", "line 1: expected the key 'a' once"),
    ("a: 1\nno: 1", "line 2: expected a text as key, found 'no', which YAML reads as bool"),
    ("1: a", "found '1', which YAML reads as int; put it into quotes"),
    ("~: a", "found '~', which YAML reads as null"),
    ("? [a]\n: 2", "found 'a sequence'"),
    ("run: 2024-01-01", "found '2024-01-01', which YAML reads as timestamp; put it into quotes"),
    ("run: 12:30", "found '12:30', which YAML reads as int 750"),
    ("run: 010", "found '010', which YAML reads as int 8"),
    ("lr: .nan", "found '.nan', which YAML reads as float nan"),
    ("lr: 1.0e+999", "which YAML reads as float inf"),
    ("a: !!binary aGk=", "which YAML reads as binary"),
    ("a: !!set {x}", "which YAML reads as set"),
    ("a: !!python/name:os.system x", "which YAML reads as python/name:os.system"),
    ("a: " + "9" * 5000, "expected plain values"),
    ("a: &a [*a]", "expected an alias of another value, found one of itself"),
    (BOMB, "line 5: expected at most 20000 values, found more once its aliases are written out"),
    ("[" * 100_000, "line 1: expected 20000 values, 50 deep at most"),
    ("- a\n" * 50_000, "expected 20000 values"),
    ("a" * 600_000, "at most 500000 characters"),
    ("a: 1\n---\na: 2", "not valid YAML"),
    ("\ta: 1", "not valid YAML"),
    ("a: *b", "not valid YAML"),
    ("a: \x01", "not valid YAML"),
    ("b: 1\n__use_yte__: true", "line 2: expected data, found __use_yte__, which runs Python"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=[message[:30] for _, message in REFUSED])
def test_what_is_no_plain_data_is_refused_with_its_line_and_at_once(text, message):
    begin = time.monotonic()
    with pytest.raises(ConfigError, match=f"^mine.yaml.*{message}"):
        parse_yaml(text, WHERE)
    assert time.monotonic() - begin < 1


def test_plain_data_is_read_as_yaml_means_it():
    text = "a: &x {b: 1, c: [1.5, true, ~, 'no', 0x1F]}\nd: {<<: *x, b: 2}\ne: *x\nf: 1e-4\ng: -0.5"
    x = {"b": 1, "c": [1.5, True, None, "no", 31]}
    assert parse_yaml(text, WHERE) == {"a": x, "d": x | {"b": 2}, "e": x, "f": "1e-4", "g": -0.5}
    assert parse_yaml("", WHERE) is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_encoding_that_can_be_told_is_read(tmp_path, encoding, end):
    path = tmp_path / "mine.yaml"
    path.write_bytes(end.join(["run: été", "title: '表情'", "more: {a: 1}"]).encode(encoding))
    assert read_yaml(path) == {"run": "été", "title": "表情", "more": {"a": 1}}


def test_an_encoding_that_cannot_be_told_is_named_with_its_line(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes("run: a\ntitle: été".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"line 2: expected UTF-8, found byte 0xe9, 'é' in Windows-1252"):
        read_yaml(path)


def test_json_indented_by_tabs_is_read():
    assert parse_yaml('{\n\t"run": "a",\n\t"n": [1,\t2]\n}', WHERE) == {"run": "a", "n": [1, 2]}


def test_what_is_no_text_file_is_said(tmp_path):
    (tmp_path / "book.yaml").write_bytes(b"PK\x03\x04")
    (tmp_path / "nul.yaml").write_bytes(b"run: a\nb: \0")
    for name, message in (
        ("book.yaml", "found an Excel workbook"),
        ("nul.yaml", "line 2: expected text, found a NUL character"),
        ("none.yaml", "found none"),
        (".", "found another kind"),
        ("a" * 300, "File name too long|found none"),
    ):
        with pytest.raises(ConfigError, match=message):
            read_yaml(tmp_path / name)
