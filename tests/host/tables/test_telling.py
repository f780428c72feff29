"""What telling brings and what a detector costs, by hand on a small board."""

from __future__ import annotations

import math

import pytest

from restorebench.records import Record
from restorebench.tables.board import Board, CellFacts, Column, Family, SampleFacts
from restorebench.tables.build import build

PSNR, LPIPS = Column("psnr@rgb", True, 2, "dB"), Column("lpips@rgb", False)
SCENES = 8


def cell(tell, task="snowy", label="good"):
    samples = tuple(SampleFacts(f"{n}", f"scene{n}", "synthetic") for n in range(SCENES))
    digest = f"{label}-{tell}-{task}"
    family = Family.TOLD if tell == "task" else Family.BLIND
    return CellFacts(label, label, tell, task, "d", "untrained", family, digest, digest, samples)


def records(facts, values, told=None):
    told = told or [None] * SCENES
    return [
        Record(facts.digest, s.id, 0, "ok", scores={"psnr@rgb": v, "lpips@rgb": 1 - v / 100}, told=t)
        for s, v, t in zip(facts.samples, values, told, strict=True)
    ]


def tables(*held, tasks=("snowy",)):
    board = Board("s", "1", tasks, (PSNR, LPIPS), tuple(facts for facts, _ in held))
    return build(board, [record for _, found in held for record in found])


TOLD = [30.0 + n % 3 for n in range(SCENES)]
BLIND = [value - 2 + 0.1 * (n % 2) for n, value in enumerate(TOLD)]
HEARD = [value - (5 if n in (0, 1) else 1 if n == 2 else 0) for n, value in enumerate(TOLD)]
SAID = [("rainy",), ("rainy",), (), *[("snowy",)] * 5]


@pytest.fixture
def found():
    told, blind, heard = cell("task"), cell("nothing"), cell("d")
    return tables(
        (told, records(told, TOLD)), (blind, records(blind, BLIND)), (heard, records(heard, HEARD, SAID))
    )


def one(frame, **where):
    for name, value in where.items():
        frame = frame[frame[name] == value]
    (row,) = frame.to_dict("records")
    return row


@pytest.mark.parametrize("task", ["snowy", "average"])
def test_telling_and_regret_are_differences_of_the_same_restorer(found, task):
    gain = one(found.telling, task=task, kind="told_gain", column="psnr@rgb")
    regret = one(found.telling, task=task, kind="detector_regret", column="psnr@rgb")
    assert gain["value"] == pytest.approx(1.95)
    assert gain["low"] < gain["value"] < gain["high"]
    assert regret["value"] == pytest.approx(11 / 8)
    assert (regret["detector"], gain["detector"]) == ("d", "")


def test_both_are_positive_where_the_task_helps_though_less_is_better(found):
    gain = one(found.telling, task="snowy", kind="told_gain", column="lpips@rgb")
    assert gain["value"] == pytest.approx(0.0195)
    assert gain["low"] < gain["value"] < gain["high"]
    regret = one(found.telling, task="snowy", kind="detector_regret", column="lpips@rgb")
    assert regret["value"] == pytest.approx(0.11 / 8)
    assert math.isnan(regret["low"]), "on five of eight scenes the detector was right: too alike to be tested"


def test_the_regret_is_split_by_what_the_detector_said(found):
    split = {row["verdict"]: (row["images"], row["loss"]) for row in found.regret.to_dict("records")}
    assert split == {"none": (1, 1.0), "rainy": (2, 5.0), "snowy": (5, 0.0)}
    whole = one(found.telling, task="snowy", kind="detector_regret", column="psnr@rgb")["value"]
    assert sum(images * loss for images, loss in split.values()) / SCENES == pytest.approx(whole)


def test_on_clean_inputs_there_are_counts_and_no_loss():
    told, heard = cell("task", "clean"), cell("d", "clean")
    said = [("rainy",)] * 3 + [()] * 5
    made = tables((told, records(told, [100.0] * SCENES)), (heard, records(heard, [40.0] * SCENES, said)))
    rows = {row["verdict"]: row for row in made.regret.to_dict("records")}
    assert {name: row["images"] for name, row in rows.items()} == {"none": 5, "rainy": 3}
    assert all(math.isnan(row["loss"]) for row in rows.values())
    assert made.telling.empty


def test_a_restorer_that_cannot_run_blind_has_no_told_gain():
    told, heard = cell("task"), cell("d")
    made = tables((told, records(told, TOLD)), (heard, records(heard, HEARD, SAID)))
    assert set(made.telling.kind) == {"detector_regret"}


def test_other_restorers_are_not_compared():
    told, other = cell("task"), cell("nothing", label="other")
    made = tables((told, records(told, TOLD)), (other, records(other, BLIND)))
    assert made.telling.empty
    assert made.regret.empty
