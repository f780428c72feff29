"""What a notebook shows of a run, and the scores of its images as a frame."""

from __future__ import annotations

import html.parser
import shutil

import numpy as np
import pandas as pd
import pytest

from restorebench import compare_table, read_records
from restorebench.contract.errors import RunFolderError


@pytest.fixture
def result(run):
    found, _ = run(["identity", {"name": "classical", "label": "<b>bold</b>"}], settings={"workers": 0})
    return found


class Cells(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)

    def handle_data(self, data):
        self.texts.append(data)


def test_a_result_says_in_one_line_what_was_run(result):
    text = repr(result)
    assert "\n" not in text
    assert text.startswith("<Result of test (version 1): 2 rows on 1 task, 0 failures, in '")
    assert str(result.folder) in text


def test_a_notebook_shows_the_first_metric_and_runs_no_markup_of_names(result):
    found = Cells(result._repr_html_())
    assert "<b>bold</b>" in found.texts
    assert found.tags.count("th") == 1 + 2 + len(set(result.tables.leaderboard.task))
    mean = result.tables.leaderboard["psnr@rgb"].iloc[0]
    assert f"{mean:.2f}" in found.texts


def test_records_are_read_with_numbers_and_the_names_as_they_were(result):
    found = read_records(result.folder)
    made = result.tables.records
    assert list(found["restorer"]) == list(made["restorer"])
    assert found["psnr@rgb"].dtype == float
    np.testing.assert_allclose(found["psnr@rgb"], made["psnr@rgb"], atol=5e-7)
    assert list(found.repetition) == list(made.repetition)
    again = pd.concat([found.assign(scene=f"{n}", sample=f"{n}") for n in range(6)])
    again = again.drop_duplicates(["restorer", "sample"])
    pairs = compare_table(again, method="restorer", value="psnr@rgb", scene="scene", image="sample")
    assert len(pairs) == 1


def test_records_that_cannot_be_read_are_one_line(result, tmp_path):
    with pytest.raises(RunFolderError, match="none"):
        read_records(tmp_path / "none")
    shutil.copytree(result.folder, tmp_path / "copy")
    path = tmp_path / "copy" / "records.csv"
    text = path.read_text()
    path.write_text(text.replace(text.split("\n")[1].split(",")[11], "many", 1))
    with pytest.raises(RunFolderError, match=r"records\.csv.*writes it again"):
        read_records(tmp_path / "copy")
    path.write_text("")
    with pytest.raises(RunFolderError, match=r"records\.csv"):
        read_records(tmp_path / "copy")
