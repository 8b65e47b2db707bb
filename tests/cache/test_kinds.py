"""The page of kinds says what the tests hold, and nothing else."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from stress.kinds import KINDS, SECTION, table
from stress.page import write_section


@pytest.mark.parametrize("test", [test for _, _, tests in KINDS for test in tests])
def test_each_test_that_the_table_names_is_there(repository: Path, test: str):
    file, name = test.split("::")
    tree = ast.parse((repository / "tests" / file).read_text())
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_the_page_has_the_table(repository: Path, tmp_path: Path):
    page = repository / "docs" / "reliability.md"
    copy = tmp_path / "page.md"
    copy.write_text(page.read_text())
    write_section(copy, SECTION, {"kinds": len(KINDS)}, table())
    assert copy.read_text() == page.read_text(), (
        "run stress.kinds as make stress runs stress: it writes the section anew"
    )
