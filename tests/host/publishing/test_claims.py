"""Published figures, and the rows here that they are about."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from restorebench.cli import app
from restorebench.contract.catalog import discover
from restorebench.contract.errors import RestorebenchError
from restorebench.publishing.add import add
from restorebench.publishing.claims import Executed, NotRun, boards_below, read_claims, states
from restorebench.suite import loading

CLAIMS = Path(__file__).parents[3] / "results" / "claims.csv"
PUBLISHED = {
    ("AirNet", "SOTS outdoor"): ("27.94", "0.962"),
    ("AirNet", "BSD68, sigma 15"): ("33.92", "0.933"),
    ("AirNet", "mean of the five columns"): ("31.20", "0.910"),
}


def line(**changes):
    fields = {
        "method": "Scaling",
        "task": "noisy",
        "dataset": "six photographs",
        "metric": "psnr",
        "protocol": "RGB",
        "value": "20",
        "paper": "A paper",
        "table": "Table 1",
        "how": "read",
        "images": "6",
        "suite": "tiny",
        "label": "synthetic",
        "restorer": "scaling",
        "weights": "",
        "column": "psnr@rgb",
        "needs": "a factor",
    }
    return {**fields, **changes}


@pytest.fixture
def claimed(tmp_path):
    """Write claims into `DIR/claims.csv`, and return that file."""

    def carry_out(*lines):
        path = tmp_path / "claims.csv"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(lines[0]))
            writer.writeheader()
            writer.writerows(lines)
        return path

    return carry_out


def test_the_figures_of_the_repository_are_well_formed():
    claims = read_claims(CLAIMS)
    assert {claim.method.partition(" (")[0] for claim in claims} == {
        *("AirNet", "DA-CLIP", "DiffBIR", "PromptIR with TextualDegRemoval")
    }
    for claim in claims:
        assert claim.paper and (claim.table or claim.value is None)
        if claim.method == "DA-CLIP":
            assert claim.how == "memory"
    assert [claim.value for claim in claims if claim.method == "DiffBIR"] == [None]
    with CLAIMS.open() as file:
        texts = {(row["method"], row["dataset"], row["metric"]): row["value"] for row in csv.DictReader(file)}
    for (method, dataset), values in PUBLISHED.items():
        assert (texts[method, dataset, "psnr"], texts[method, dataset, "ssim"]) == values
    five = [
        claim for claim in claims if claim.method == "AirNet" and claim.label != "*" and claim.metric == "psnr"
    ]
    assert round(np.mean([claim.value for claim in five]), 2) == 31.20


def test_every_claim_names_a_row_that_can_be_run(tmp_path):
    catalog = discover()
    for claim in read_claims(CLAIMS):
        if claim.restorer:
            catalog.entry("restorer", claim.restorer)
        if claim.column:
            suite = loading.load(claim.suite, data=tmp_path).suite
            assert claim.label in (
                "*",
                *(pick.label for pick in suite.datasets if claim.task in (pick.tasks or ())),
            )
            metric, _, protocol = claim.column.partition("@")
            assert metric in suite.metrics and protocol in suite.protocols


def test_a_claim_whose_row_is_published_is_executed(claimed, scaled, tmp_path):
    add(scaled, tmp_path)
    path = claimed(line(), line(paper="Another", how="memory"), line(metric="ssim", column="ssim@rgb"))
    found, remembered, without = states(read_claims(path), list(boards_below(tmp_path)))
    board = pd.read_csv(tmp_path / "tiny" / "1" / "leaderboard.csv")
    row = board[(board.restorer == "scaling") & (board.task == "noisy")].iloc[0]
    assert isinstance(found, Executed) and found.row == "scaling"
    assert found.value == pytest.approx(row["psnr@rgb"], abs=1e-6)
    assert (found.low, found.high) == pytest.approx((row["psnr@rgb_low"], row["psnr@rgb_high"]), abs=1e-6)
    assert found.difference == pytest.approx(row["psnr@rgb"] - 20, abs=1e-6)
    assert isinstance(remembered, Executed) and remembered.difference is None
    assert without == NotRun(f"row scaling of {tmp_path / 'tiny' / '1'} has no ssim@rgb on synthetic")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"suite": "other"}, "no published folder of other"),
        ({"restorer": "airnet"}, "has no row of airnet"),
        ({"weights": "all"}, "has no row of scaling with weights all"),
        ({"images": "500"}, "has 6 of the 500 images"),
        ({"label": "elsewhere"}, "has no psnr@rgb on elsewhere"),
    ],
)
def test_a_claim_without_its_row_says_what_is_missing(changes, why, claimed, scaled, tmp_path):
    add(scaled, tmp_path)
    (state,) = states(read_claims(claimed(line(**changes))), list(boards_below(tmp_path)))
    assert isinstance(state, NotRun) and why in state.why


def test_an_average_is_the_mean_over_all_data(claimed, scaled, tmp_path):
    add(scaled, tmp_path)
    path = claimed(line(), line(task="average", label="*", dataset="all"))
    single, average = states(read_claims(path), list(boards_below(tmp_path)))
    assert (single.value, single.low, single.high) == (average.value, average.low, average.high)


@pytest.mark.faults
@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"how": "guessed"}, "claims.csv:2: how is 'guessed'"),
        ({"how": ""}, "how is ''"),
        ({"value": ""}, "value is empty, and how is 'read'"),
        ({"value": "high"}, "value is 'high', not a number"),
        ({"value": "nan"}, "value is 'nan', not a number"),
        ({"images": "-1"}, "images is '-1'"),
        ({"paper": ""}, "paper is empty"),
        ({"table": ""}, "table is empty; a figure needs its place"),
        ({"needs": ""}, "needs is empty"),
        ({"column": "ssim@rgb"}, "is not of its metric"),
        ({"label": "*"}, "an average has the label"),
        ({"extra": "x"}, "claims.csv:1: its columns are not"),
    ],
)
def test_a_wrong_claim_is_refused(changes, why, claimed):
    with pytest.raises(RestorebenchError, match=why.replace("*", r"\*")):
        read_claims(claimed(line(**changes)))


def test_a_figure_is_listed_once(claimed):
    with pytest.raises(RestorebenchError, match="claim 2 is one that A paper is named for already"):
        read_claims(claimed(line(), line(value="21")))


def test_a_file_that_is_missing_or_cut_is_refused(claimed, tmp_path):
    with pytest.raises(RestorebenchError, match="cannot be read"):
        read_claims(tmp_path / "claims.csv")
    path = claimed(line())
    path.write_text(path.read_text().replace(",a factor", ""))
    with pytest.raises(RestorebenchError, match="another number of cells"):
        read_claims(path)


def test_the_command_prints_the_figure_the_row_and_what_is_missing(claimed, scaled, tmp_path):
    add(scaled, tmp_path)
    claimed(line(), line(suite="other", dataset="elsewhere", weights="all"))
    done = CliRunner().invoke(app, ["results", "claims", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "20.00, here " in done.output and "1 executed here" in done.output
    assert "not run (elsewhere): no published folder of other; needs a factor" in done.output
    assert "restorebench run other --data DIR --add scaling\n" in done.output
    as_json = json.loads(CliRunner().invoke(app, ["results", "claims", str(tmp_path), "--json"]).output)
    assert [each["state"] for each in as_json] == ["executed", "not run"] and as_json[1]["commands"]
    assert as_json[0]["here_difference"] == pytest.approx(as_json[0]["here_value"] - 20)
    table = tmp_path / "out.csv"
    CliRunner().invoke(app, ["results", "claims", str(tmp_path), "--csv", str(table)])
    assert list(pd.read_csv(table).state) == ["executed", "not run"]
