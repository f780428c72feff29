"""What a published folder says, in the forms of other places."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import yaml
from huggingface_hub.repocard_data import model_index_to_eval_results
from typer.testing import CliRunner

from restorebench.cli import app
from restorebench.contract.errors import RestorebenchError
from restorebench.publishing import bibliography
from restorebench.publishing.badge import badge
from restorebench.publishing.model_card import model_card
from restorebench.publishing.quoting import quoted
from tests.host.publishing.conftest import SCALED

ROOT = Path(__file__).parents[3]


def export(*arguments):
    return CliRunner().invoke(app, ["results", "export", *map(str, arguments)])


def test_the_hub_reads_the_results_of_a_row(scaled):
    text = model_card(quoted(scaled), "scaling", url="https://example.org/tiny")
    name, (result,) = model_index_to_eval_results(yaml.safe_load(text)["model-index"])
    board = pd.read_csv(scaled / "leaderboard.csv")
    line = board[(board.restorer == "scaling") & (board.task == "noisy")].iloc[0]
    assert name == "scaling" and result.metric_type == "psnr" and result.task_type == "image-to-image"
    assert result.metric_value == pytest.approx(line["psnr@rgb"], abs=1e-6)
    assert result.metric_args["interval_95"] == pytest.approx([line["psnr@rgb_low"], line["psnr@rgb_high"]])
    assert result.metric_args["digest"] == line.digest and result.dataset_config == "synthetic/noisy"
    low, high = (f"{line[f'psnr@rgb_{end}']:.2f}" for end in ("low", "high"))
    assert result.metric_name == f"psnr@rgb, RGB, 8 bits, nothing cropped, 95 % interval {low} to {high}"
    assert result.source_url == "https://example.org/tiny"
    without = yaml.safe_load(model_card(quoted(scaled), "scaling"))["model-index"]
    assert "source" not in without[0]["results"][0] and model_index_to_eval_results(without)


def entries(text):
    """Read BibTeX of the simple form that is written here: type, key and fields."""
    found = {}
    for kind, key, body in re.findall(r"^@(\w+)\{([^,]+),\n(.*?)\n\}$", text, re.MULTILINE | re.DOTALL):
        found[key] = {"kind": kind, **dict(re.findall(r"^  (\w+) = \{(.*)\},?$", body, re.MULTILINE))}
    return found


def test_every_paper_of_the_rows_is_cited_once(folders):
    rows = "[identity, airnet-compact, {name: airnet-compact, label: other}, {name: classical, tell: task}]"
    text = bibliography.bibliography(quoted(folders.made("cited", rows)))
    found = entries(text)
    assert set(found) == {"airnet-compact", "classical", "restorebench"}
    assert found["airnet-compact"] == {
        "kind": "inproceedings",
        "author": "Li and others",
        "title": "{All-In-One Image Restoration for Unknown Corruption}",
        "booktitle": "CVPR",
        "year": "2022",
    }
    assert found["classical"]["kind"] == "misc" and "% restorer identity names no paper" in text
    facts = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert found["restorebench"]["version"] == str(facts["version"])
    assert facts["title"] in found["restorebench"]["title"]
    assert set(entries(bibliography.bibliography(quoted(folders.made("cited", rows)), "identity"))) == {
        "restorebench"
    }


def test_a_method_that_is_not_installed_is_a_comment(scaled):
    assert "% restorer scaling is not installed here" in bibliography.bibliography(quoted(scaled))


def test_what_means_something_to_latex_is_escaped():
    assert bibliography._escaped("50 % & $x_1$ {a}\\b^c~d#") == (
        r"50 \% \& \$x\_1\$ \{a\}\textbackslash{}b\textasciicircum{}c\textasciitilde{}d\#"
    )
    assert bibliography._escaped("one\n  two") == "one two"


def texts(svg):
    root = ElementTree.fromstring(svg)
    return [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]


def test_a_badge_says_where_a_row_stands(scaled):
    board = pd.read_csv(scaled / "leaderboard.csv")
    for row in ("identity", "scaling"):
        line = board[(board.restorer == row) & (board.task == "average")].iloc[0]
        low, high = int(line.rank_low), int(line.rank_high)
        ranks = f"{low}" if low == high else f"{low} to {high}"
        assert texts(badge(quoted(scaled), row)) == ["tiny 1", f"group {line.group}, {ranks} of 2"]
    assert texts(badge(quoted(scaled), "scaling", "noisy"))[0] == "tiny 1, noisy"


def test_a_badge_of_too_few_scenes_claims_no_rank(folders):
    few = folders.made("short", f"[{SCALED}]", limit=2)
    assert texts(badge(quoted(few), "scaling")) == ["tiny 1", "no rank: 2 scenes"]


def test_a_row_that_nothing_was_compared_with_has_no_rank(identity):
    assert texts(badge(quoted(identity), "identity")) == ["tiny 1", "no rank: no rival"]


def test_a_hostile_name_stays_text(folders):
    name = "<script>alert(1)</script>&\\u202e"
    folder = folders.made("hostile", f'[{{name: identity, label: "{name}"}}]')
    found = quoted(folder)
    (row,) = found.rows
    svg = badge(found, row)
    assert "<script" not in svg and ElementTree.fromstring(svg) is not None and "\u202e" not in svg
    assert yaml.safe_load(model_card(found, row))["model-index"][0]["name"] == row
    assert entries(bibliography.bibliography(found))


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--as", "hf"], "is of one row; name it with --row, one of identity, scaling"),
        (["--as", "badge", "--row", "scalling"], "has no such row (nearest: scaling)"),
        (["--as", "badge", "--row", "scaling", "--task", "rainy"], "has no rainy; it has noisy of synthetic"),
        (["--as", "bibtex", "--task", "noisy"], "are for a badge"),
        (["--as", "bibtex", "--url", "https://example.org"], "is for hf"),
        (["--as", "bibtex", "-o", "nowhere/x.bib"], "is not a folder"),
    ],
)
def test_what_cannot_be_exported_is_refused(arguments, why, scaled):
    done = export(scaled, *arguments)
    assert isinstance(done.exception, RestorebenchError) and why in str(done.exception)


def test_a_file_of_another_kind_is_not_replaced(scaled, tmp_path):
    file = tmp_path / "README.txt"
    file.write_text("mine")
    done = export(scaled, "--as", "badge", "--row", "scaling", "-o", file)
    assert "exists and is no .svg file" in str(done.exception) and file.read_text() == "mine"
    assert export(scaled, "--as", "badge", "--row", "scaling", "-o", tmp_path / "x.svg").exit_code == 0
    assert (tmp_path / "x.svg").read_text() == badge(quoted(scaled), "scaling")


def test_numbers_that_do_not_follow_are_not_quoted(scaled, changed):
    def better(folder):
        text = (folder / "leaderboard.csv").read_text()
        (folder / "leaderboard.csv").write_text(text.replace(",6,6,0,", ",6,6,0,9", 1))

    with pytest.raises(RestorebenchError, match="do not follow from its records"):
        quoted(changed(scaled, better))


def test_widths_of_a_badge_are_whole_numbers_above_its_text(scaled):
    root = ElementTree.fromstring(badge(quoted(scaled), "scaling"))
    lengths = [int(each.get("textLength")) for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert int(root.get("width")) == np.sum(lengths) + 24
