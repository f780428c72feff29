from __future__ import annotations

import csv
from dataclasses import replace

import pandas as pd
import pytest
from restorebench_reports.as_csv import Csv, as_text
from restorebench_reports.as_markdown import Markdown

from restorebench.records import Record
from restorebench.tables.board import Board, CellFacts, Column, Family, SampleFacts
from restorebench.tables.build import build


@pytest.fixture
def tables():
    samples = tuple(SampleFacts(f"s{n}", f"s{n}", "published") for n in range(12))
    cells = tuple(
        CellFacts(name, name, "nothing", "noisy", "d", "untrained", Family.BLIND, name, name, samples)
        for name in ("identity", "=evil|<script>")
    )
    found = [
        Record(c.digest, s.id, 0, "ok", scores={"psnr@rgb": base + n / 7})
        for c, base in zip(cells, (10, 25), strict=True)
        for n, s in enumerate(samples)
    ]
    found[0] = Record("identity", "s0", 0, "ok", scores={"psnr@rgb": float("inf")})
    return build(Board("mine", "1", ("noisy",), (Column("psnr@rgb", True, 2),), cells), found)


def test_csv_has_six_decimals_blank_holes_and_inf(tables, tmp_path):
    files = Csv(None, None).write(tables, tmp_path)
    assert {path.name for path in files} == {
        "leaderboard.csv",
        "comparisons.csv",
        "records.csv",
        "cost.csv",
        "failures.csv",
    }
    text = (tmp_path / "records.csv").read_text()
    assert "\r" not in text
    rows = list(csv.DictReader(text.splitlines()))
    assert rows[0]["psnr@rgb"] == "inf"
    assert rows[1]["psnr@rgb"] == "10.142857"
    board = list(csv.DictReader((tmp_path / "leaderboard.csv").read_text().splitlines()))
    assert (board[0]["rank_low"], board[0]["rank_high"], board[0]["group"]) == ("1", "2", "a")
    assert board[0]["status"] == "capped"


def test_a_cell_that_looks_like_a_formula_is_defused():
    text = as_text(pd.DataFrame({"a": ["=1+1", "@x", "-2", "plain", 'comma, "quote"\nline'], "b": [-1.5, 0.0, 1.0, None, 2.0]}))  # fmt: skip # noqa: E501  # reads best in one line
    rows = list(csv.reader(text.splitlines(keepends=True)))
    assert [row[0] for row in rows[1:4]] == ["'=1+1", "'@x", "'-2"]
    assert rows[5][0] == 'comma, "quote"\nline'
    assert [row[1] for row in rows[1:]] == ["-1.500000", "0.000000", "1.000000", "", "2.000000"]


def test_markdown_marks_the_best_and_lets_no_markup_through(tables, tmp_path):
    (path,) = Markdown(None, None).write(tables, tmp_path)
    text = path.read_text()
    assert "**25.79**" in text
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert text.splitlines()[4].split() == ["|", "restorer", "|", "noisy", "|", "average", "|"]


def test_csv_writes_whole_numbers_without_decimals_and_no_negative_zero():
    frame = pd.DataFrame({"parameters": pd.array([123, None], dtype="Int64"), "gain": [-1e-9, 1e20]})
    assert as_text(frame) == "parameters,gain\n123,0.000000\n,100000000000000000000.000000\n"


def test_a_lone_carriage_return_breaks_no_row():
    text = as_text(pd.DataFrame({"reason": ["one\rtwo"], "n": [1]}))
    assert list(csv.reader(text.splitlines(keepends=True))) == [["reason", "n"], ["one\rtwo", "1"]]


def test_an_incomplete_row_is_never_the_best_and_equal_ones_share_the_bold(tmp_path):
    samples = tuple(SampleFacts(f"s{n}", f"s{n}", "published") for n in range(12))
    cells = tuple(
        CellFacts(name, name, "nothing", "noisy", "d", "untrained", Family.BLIND, name, name, samples)
        for name in ("a", "b", "broken")
    )
    found = [
        Record(c.digest, s.id, 0, "ok", scores={"psnr@rgb": value + (c.digest == "a") * 0.001 * (-1) ** n})
        for c, value in zip(cells, (20.0, 20.0, 30.0), strict=True)
        for n, s in enumerate(samples)
    ]
    built = build(Board("mine", "1", ("noisy",), (Column("psnr@rgb", True, 2),), cells), found[:-1])
    (path,) = Markdown(None, None).write(built, tmp_path)
    text = path.read_text()
    assert text.count("**20.00**") == 4  # a and b, in the task and in the average
    assert "30.00!" in text
    assert "**30.00" not in text


def test_a_metric_that_never_ranks_has_no_bold_and_does_not_lend_its_interval_to_the_rank(tables, tmp_path):
    beside = Column("psnr-mean-aligned@rgb", True, 2, "dB", ranks=False)
    board = replace(tables.board, columns=(beside, *tables.board.columns))
    found = [
        Record(c.digest, s.id, 0, "ok", scores={"psnr@rgb": 20.0 + n, beside.name: 50.0 + n})
        for c in board.cells
        for n, s in enumerate(c.samples)
    ]
    (path,) = Markdown(None, None).write(build(board, found), tmp_path)
    matrix = path.read_text().partition(beside.name)[2].partition("## ")[0]
    assert "55.50" in matrix and "**" not in matrix
    assert "psnr@rgb 95 %" in path.read_text()


def test_tables_of_telling_are_written_where_a_restorer_is_told(tmp_path):
    samples = tuple(SampleFacts(f"s{n}", f"s{n}", "published") for n in range(12))
    cells = tuple(
        CellFacts("good", "good", tell, "noisy", "d", "untrained", family, tell, tell, samples)
        for tell, family in (("task", Family.TOLD), ("d", Family.BLIND))
    )
    found = [
        Record(c.digest, s.id, 0, "ok", scores={"psnr@rgb": 20.0 + n % 3}, told=("noisy",))
        for c in cells
        for n, s in enumerate(samples)
    ]
    built = build(Board("mine", "1", ("noisy",), (Column("psnr@rgb", True, 2),), cells), found)
    assert {"telling.csv", "regret.csv"} <= {path.name for path in Csv(None, None).write(built, tmp_path)}
    assert (tmp_path / "regret.csv").read_text().splitlines()[
        1
    ] == "mine,1,d,good,d,noisy,noisy,psnr@rgb,12,0.000000"
