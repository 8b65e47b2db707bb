"""The papers' tables as data: every printed number is the one printed."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest
from pydantic import ValidationError

from avemo.base.contracts import AvemoError
from avemo.papers.definitions import TableDefinition, papers, read_paper

TABLES = {
    ("auxformer", "table1"): ("AuxFormer (ICASSP 2022)", "Table 1"),
    ("auxformer", "table2"): ("AuxFormer (ICASSP 2022)", "Table 2"),
    ("av_ladder", "table1"): ("AV-Ladder (ICASSP 2023)", "Table 1"),
    ("av_ladder", "poster"): ("AV-Ladder poster", "Results table"),
    ("vavl", "table1"): ("VAVL (arXiv 2305.07216v1)", "Table 1"),
    ("vavl", "table2"): ("VAVL (arXiv 2305.07216v1)", "Table 2"),
    ("colearning", "table1"): ("Interactive co-learning (NTT 2022)", "Table 1"),
    ("colearning", "table2"): ("Interactive co-learning (NTT 2022)", "Table 2"),
}
CORPORA = {"crema_d": "CREMA-D", "msp_improv": "MSP-IMPROV", "cmu_mosei": "CMU-MOSEI"}
SYSTEMS = {
    **{"av_ladder": "AV-Ladder", "vavl": "VAVL", "uavm": "UAVM", "proposed": "Proposed"},
    **{"conventional": "Conventional", "baseline_audio": "Baseline", "baseline_visual": "Baseline"},
    **{"auxformer": "AuxFormer", "auxformer_optimized": "AuxFormer", "mult": "MulT"},
    **{"audio_only": "Audio Only", "video_only": "Video Only", "baseline_1": "Baseline 1 (no aux)"},
    **{"unimodal_audio": "Unimodal conformer (A)", "unimodal_visual": "Unimodal conformer (V)"},
    **{"ablation_1": "Ablation 1 (no residual)", "ablation_2": "Ablation 2 (no reconstruction)"},
    "ablation_3": "Ablation 3 (no AV layer; average)",
}
AS_BASELINES = {
    "auxformer": "Baseline 1 (AuxFormer)",
    "mult": "Baseline 2 (MulT)",
    "parthasarathy": "Baseline 3 (Parthasarathy-Sundaram)",
}
INPUTS = {"av": "AV", "audio": "A", "visual": "V", "": ""}
SIDES = {"train": "train", "dev": "validation", "test": "test"}
HEADINGS = {"precision": "precision", "recall": "recall", "f1": "F1"}


def named(metric: str) -> tuple[str, str]:
    """Target and metric as the list of printed numbers has them."""
    kind, _, rest = metric.partition("_")
    if kind == "ccc":
        return rest, "CCC"
    if kind in ("wf1", "mf1"):
        return rest or "average", f"{kind[0]}F1"
    return "emotion class", f"{kind}-{HEADINGS[rest]}"


def defined(paper: str, table: str) -> dict[tuple[str, ...], float]:
    """Our definition's printed numbers, keyed as the list of printed numbers is."""
    (found,) = (t for t in read_paper(paper).tables if t.name == table)
    values = {}
    systems = SYSTEMS | (AS_BASELINES if paper == "av_ladder" else {})
    if paper == "auxformer":
        systems |= {name: AS_BASELINES[name] for name in ("mult", "parthasarathy")}
    for row in found.rows:
        for number, column in enumerate(found.columns):
            printed, at = row.printed(number), found.address(row, column)
            if printed is None:
                continue
            target, metric = (at.label, "positive clips") if at.label else named(at.metric)
            system = "" if at.label else systems[at.system]
            where = SIDES.get(at.side, INPUTS[at.modality])
            values[CORPORA[at.run], system, where, target, metric] = printed.value
    return values


def listed(folder: Path, paper: str, table: str) -> dict[tuple[str, ...], float]:
    with (folder / "published.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if (row["paper"], row["table"]) == (paper, table)]
    counts = {"train", "validation", "test"}
    return {
        (
            row["corpus"],
            row["system"],
            row["training"] if row["training"] in counts else row["modality"],
            row["target"],
            row["metric"],
        ): float(row["value"])
        for row in rows
    }


@pytest.mark.parametrize(("paper", "table"), TABLES)
def test_every_printed_number_is_the_one_printed(shared_data, paper, table):
    expected = listed(shared_data, *TABLES[paper, table])
    assert len(expected) > 10
    assert defined(paper, table) == expected


def test_printed_marks_are_those_printed(shared_data):
    """A cell is marked in our files exactly where the list says the paper claims significance."""
    for (paper, table), source in TABLES.items():
        with (shared_data / "published.csv").open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if (row["paper"], row["table"]) == source]
        (found,) = (t for t in read_paper(paper).tables if t.name == table)
        cells = [row.printed(i) for row in found.rows for i in range(len(found.columns))]
        assert sum(bool(cell and cell.marks) for cell in cells) == sum(
            bool(r["significant_over"]) for r in rows
        )


def test_the_gains_that_auxformers_text_gives(shared_data):
    rows = [r for r in csv.DictReader((shared_data / "published.csv").open()) if "Fig 2" in r["table"]]
    (figure,) = (t for t in read_paper("auxformer").tables if t.name == "figure2")
    given = {(row["corpus"], row["modality"]): float(row["value"]) for row in rows}
    for key in ("gain_micro", "gain_macro", "relative_micro", "relative_macro"):
        printed = [figure.row(key).printed(i) for i in range(6)]
        ours = {
            (CORPORA[column.run], INPUTS[column.modality]): cell.value
            for column, cell in zip(figure.columns, printed, strict=True)
            if cell
        }
        assert ours == given


COUNTED = {
    ("auxformer", "counts_crema_d"): ("AuxFormer (ICASSP 2022)", "Sec 3 text", "CREMA-D", "clips"),
    ("auxformer", "counts_msp_improv"): ("AuxFormer (ICASSP 2022)", "Sec 3 text", "MSP-IMPROV", "sentences"),
    ("av_ladder", "counts"): ("AV-Ladder (ICASSP 2023)", "Sec 4.1 text", "CREMA-D", "clips"),
    ("colearning", "counts"): ("Interactive co-learning (NTT 2022)", "Sec 4.1 text", "CMU-MOSEI", "clips"),
}


@pytest.mark.parametrize(("paper", "table"), COUNTED)
def test_class_counts_are_those_of_the_texts(shared_data, paper, table):
    source, section, corpus, unit = COUNTED[paper, table]
    with (shared_data / "published.csv").open(newline="") as file:
        rows = [r for r in csv.DictReader(file) if (r["paper"], r["table"]) == (source, section)]
    listed = [r for r in rows if (r["corpus"], r["metric"]) == (corpus, unit)]
    (found,) = (t for t in read_paper(paper).tables if t.name == table)
    ours = {
        column.name.lower() if column.side else row.name.lower(): row.printed(i).value
        for row in found.rows
        for i, column in enumerate(found.columns)
    }
    assert ours == {r["training"] or r["target"]: float(r["value"]) for r in listed}


def test_mosei_averages_are_those_of_their_emotions():
    """The averages are printed apart; that they fit shows that columns and metric are understood."""
    (table,) = (t for t in read_paper("colearning").tables if t.name == "table2")
    for row in table.rows:
        values = [row.printed(i).value for i in range(14)]
        for offset in (0, 1):
            assert sum(values[offset:12:2]) / 6 == pytest.approx(values[12 + offset], abs=0.1)


def test_the_list_of_cells_that_need_a_corpus_has_every_printed_one(repository):
    """Counts of docs/fidelity.md, added up by table, are those of the definitions."""
    names = {"auxformer": "AuxFormer", "av_ladder": "AV-Ladder", "colearning": "co-learning", "vavl": "VAVL"}
    printed = Counter[str]()
    for paper in papers():
        for table in read_paper(paper).tables:
            cells = [row.printed(i) for row in table.rows for i in range(len(table.columns))]
            source = table.source.split(" and ")[0].replace("Poster", "poster")
            printed[f"{names[paper]} {source}"] += sum(cell is not None for cell in cells)
    text = (repository / "docs" / "fidelity.md").read_text().split("## Published cells that cannot")[1]
    told = dict.fromkeys(printed, 0)
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("| table"):
            table, _, cells, *_ = (cell.strip() for cell in line.strip("|").split("|"))
            told[table] += int(cells)
    assert told == printed


def test_unknown_papers_answer_with_the_known_ones():
    assert papers() == ["auxformer", "av_ladder", "colearning", "vavl"]
    with pytest.raises(AvemoError, match=r"no paper 'vaval'; did you mean 'vavl'\?"):
        read_paper("vaval")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"published": [1]}, "expected 2 published values or none, found 1"),
        ({"published": [1, "many"]}, "expected a number and marks, found 'many'"),
        ({"minus": "other"}, "unknown {'other'}"),
        ({"relative": True}, "expected `minus` with `relative`"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(row, message):
    table = {
        "name": "t",
        "title": "T",
        "source": "S",
        "unit": "share",
        "columns": [{"name": "a"}, {"name": "b"}],
    }
    with pytest.raises((ValidationError, AvemoError), match=message):
        TableDefinition(**table, rows=[{"name": "r", "system": "r"} | row])
