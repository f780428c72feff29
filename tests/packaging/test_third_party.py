"""A distribution that the host knows nothing of is installed, listed, checked and run like a built-in."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "third_party" / "restorebench_gauss"

SUITE = """\
suite: strangers
version: "1"
tasks: [noisy, snowy]
datasets:
  - {name: synthetic, options: {clean: embedded, crop: 64}}
restorers:
  - identity
  - {name: gauss, options: {sigma: 1.5}}
metrics: [psnr]
clean_inputs: false
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy outside the checkout, so that nothing but the installation connects it to the host."""
    ignored = shutil.ignore_patterns("__pycache__", ".*")
    return Path(shutil.copytree(SOURCE, tmp_path_factory.mktemp("source") / "gauss", ignore=ignored))


@pytest.fixture(scope="module")
def site(source, install):
    return install(source)


def test_it_is_unknown_before_it_is_installed(python):
    assert "gauss" not in python("-m", "restorebench", "list", "restorers").stdout


def test_it_is_listed_once_it_is_installed(python, site):
    listed = python("-m", "restorebench", "list", "restorers", "--verbose", path=[site])
    assert listed.returncode == 0, listed.stderr
    assert "gauss" in listed.stdout
    assert "sigma=1.0" in listed.stdout
    assert not listed.stderr


def test_its_own_conformance_tests_pass(python, site, source):
    options = ["-q", "-p", "no:cacheprovider", "--rootdir", source]
    answer = python("-m", "pytest", *options, source / "tests", path=[site], folder=source)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert re.search(r"\b[1-9]\d* passed\b", answer.stdout), answer.stdout  # and not all skipped


@pytest.mark.slow
def test_it_stands_on_the_leaderboard_beside_a_built_in(python, site, tmp_path):
    suite = tmp_path / "strangers.yaml"
    suite.write_text(SUITE)
    answer = python("-m", "restorebench", "run", suite, "--out", tmp_path / "run", "-q", path=[site])
    assert answer.returncode == 0, answer.stdout + answer.stderr
    with (tmp_path / "run" / "leaderboard.csv").open(newline="") as stream:
        rows = {(row["restorer"], row["task"]): row for row in csv.DictReader(stream)}
    for task in ("noisy", "snowy", "average"):
        assert {name for name, of in rows if of == task} == {"identity", "gauss"}
    # Averaging neighbours must lower the mean squared error of independent noise this strong.
    assert float(rows["gauss", "noisy"]["psnr@rgb"]) > float(rows["identity", "noisy"]["psnr@rgb"])


def test_its_options_are_checked_like_those_of_a_built_in(python, site, tmp_path):
    suite = tmp_path / "strangers.yaml"
    suite.write_text(SUITE.replace("sigma: 1.5", "sgima: 1.5"))
    answer = python("-m", "restorebench", "run", suite, "--out", tmp_path / "run", path=[site])
    assert answer.returncode == 2
    assert "strangers.yaml:8:" in answer.stderr and "sgima" in answer.stderr
