"""Tables of the published papers as data: rows, columns, printed values, what the paper compared.

One YAML file a paper beside this. A cell's address joins the table's ``defaults``,
its column's fields and its row's fields, in that order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from avemo.base.contracts import AvemoError, ComponentConfig, ConfigError
from avemo.base.file_hashes import sha256_of
from avemo.base.registry import nearest
from avemo.base.yaml_files import parse_yaml

UNITS = {"share": (1.0, 3), "percent": (100.0, 1), "count": (1.0, 0)}
"""What our scores are multiplied by to stand beside the printed ones, and the digits printed."""

EVERY = "every"
"""Stands for all clips of a side, whatever their label."""

PRINTED = re.compile(r"(?P<value>-?\d+(\.\d+)?)\s*(?P<marks>\D*)")


class Address(ComponentConfig):
    """Where a cell's value is found: scores by run, system, input and metric; or counts of a label on a side.

    A label may be `EVERY`, or the reason why clips have none; the side ``all`` is the labelled corpus.
    """

    run: str = ""
    system: str = ""
    modality: Literal["", "av", "audio", "visual"] = ""
    metric: str = ""
    label: str = ""
    side: Literal["", "all", "train", "dev", "test"] = ""

    def over(self, base: Address) -> Address:
        """This address, completed by ``base``."""
        fields = Address.model_fields
        return Address(**{name: getattr(self, name) or getattr(base, name) for name in fields})


class Column(Address):
    """A column under a common heading ``group``."""

    name: str
    group: str = ""


@dataclass(frozen=True)
class Printed:
    """A printed value, in the paper's unit, and the marks printed beside it."""

    value: float
    marks: str = ""


class Row(Address):
    """A row; ``key`` (default: the system) names it within the table."""

    name: str
    key: str = ""
    minus: str = ""
    """Key of a row whose values are taken away, split by split."""
    relative: bool = False
    """The difference in percent of the mean of the row that is taken away."""
    only: tuple[str, ...] = ()
    """Inputs with which the paper reports the row; none: all."""
    published: tuple[float | str | None, ...] = ()
    """One a column, as printed; null where the paper has no number."""

    @property
    def id(self) -> str:
        return self.key or self.system

    def printed(self, column: int) -> Printed | None:
        """What the paper prints in a column."""
        entry = self.published[column] if self.published else None
        match = PRINTED.fullmatch(str(entry)) if entry is not None else None
        if entry is not None and match is None:
            raise AvemoError(f"row {self.name!r}: expected a number and marks, found {entry!r}")
        return Printed(float(match["value"]), match["marks"]) if match else None


class Comparison(ComponentConfig):
    """Which rows were tested against which; ``symbol`` marks a cell significantly better than all ``against``.

    ``margin``, in the table's unit: the paper claims that the difference is small, so two one-sided tests
    stand beside it whether it lies within the margin either way.
    """

    symbol: str = ""
    rows: tuple[str, ...] = ()
    """None: every row that is not in ``against``."""
    against: tuple[str, ...] = Field(min_length=1)
    columns: tuple[str, ...] = ()
    """Names of the columns that were tested; none: all."""
    margin: float | None = Field(None, gt=0)
    over: Literal["splits", "clips"] = "splits"
    """What the test takes for a sample: splits, or the test clips of the only one."""


class TableDefinition(ComponentConfig):
    """One table or figure of a paper."""

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    title: str
    source: str
    unit: Literal["share", "percent", "count"]
    chart: bool = False
    """Draw it as well."""
    defaults: Address = Address()
    columns: tuple[Column, ...] = Field(min_length=1)
    rows: tuple[Row, ...] = Field(min_length=1)
    comparisons: tuple[Comparison, ...] = ()
    remark: str = ""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        keys = [row.id for row in self.rows]
        named = [key for c in self.comparisons for key in (*c.rows, *c.against)]
        unknown = {*named, *(row.minus for row in self.rows if row.minus)} - set(keys)
        if len(set(keys)) != len(keys) or unknown:
            raise ValueError(
                f"{self.name}: expected rows of keys of their own, found {keys}, unknown {unknown}"
            )
        names = {column.name for column in self.columns}
        if strange := {name for c in self.comparisons for name in c.columns} - names:
            raise ValueError(f"{self.name}: expected comparisons in columns of {names}, found {strange}")
        for row in self.rows:
            if row.relative and not row.minus:
                raise ValueError(f"{self.name}: {row.name}: expected `minus` with `relative`, found none")
            if len(row.published) not in (0, len(self.columns)):
                raise ValueError(
                    f"{self.name}: {row.name}: expected {len(self.columns)} published values or none, "
                    f"found {len(row.published)}"
                )
            for column in range(len(self.columns)):
                row.printed(column)
        return self

    def row(self, key: str) -> Row:
        """The row of that key."""
        return next(row for row in self.rows if row.id == key)

    def address(self, row: Row, column: Column) -> Address:
        """Where the value of a cell is found."""
        return row.over(column.over(self.defaults))

    def reported(self, row: Row, column: Column) -> bool:
        """Whether the paper reports the row with the column's input."""
        return not row.only or self.address(row, column).modality in row.only


class Paper(ComponentConfig):
    """A paper's name and its tables."""

    paper: str
    tables: tuple[TableDefinition, ...] = Field(min_length=1)


def papers() -> list[str]:
    """Names of the papers whose tables are known."""
    return sorted(
        path.name.removesuffix(".yaml")
        for path in files("avemo.papers").iterdir()
        if path.name.endswith(".yaml")
    )


def read_paper(name: str) -> Paper:
    """The tables of a paper; raises `ConfigError` for an unknown name."""
    if name not in papers():
        raise ConfigError(
            f"config: tables: no paper {name!r}{nearest(name, papers())}; known: {', '.join(papers())}"
        )
    place = _place(name)
    return Paper.model_validate(parse_yaml(place.read_text(encoding="utf-8"), place))


def paper_digest(name: str) -> str:
    """What the file of a paper's tables holds."""
    return sha256_of(_place(name))


def _place(name: str) -> Path:
    return Path(str(files("avemo.papers") / f"{name}.yaml"))
