"""The comment on a pull request with results, and the workflow that writes it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from restorebench.cli import app
from restorebench.publishing.add import add
from restorebench.publishing.comment import comment
from restorebench.publishing.verify import verify
from tests.host.publishing.conftest import HERE

ROOT = Path(__file__).parents[3]
WORKFLOW = ROOT / ".github" / "workflows" / "results.yml"


def test_a_comment_has_a_line_for_every_row(folders, scaled):
    done = verify(scaled, images=1, data=folders.data, word="w", settings=HERE)
    text = comment([done])
    board = (scaled / "leaderboard.csv").read_text()
    score = next(
        row.split(",")[11] for row in board.splitlines() if row.startswith("tiny,1,average,synthetic,scal")
    )
    assert f"### {scaled}: nothing is wrong" in text.replace("\\", "")
    assert "| identity | reproduced | 1 of 6 |" in text
    assert f"| scaling | recomputed | 6 of 6 | {score} |" in text
    assert "* row scaling was not run again: no restorer called 'scaling'" in text
    assert "--word w" in text and "* recomputed: its tables follow from its records" in text


def test_a_comment_says_what_does_not_fit(folders, scaled, changed):
    def better(folder):
        text = (folder / "records.csv").read_text()
        (folder / "records.csv").write_text(text.replace(",0,scaling,nothing,,", ",0,scaling,nothing,,9", 1))

    text = comment([verify(changed(scaled, better), images=0, data=folders.data, settings=HERE)])
    assert "not fit" in text and "Does not fit:" in text and "leaderboard.csv" in text
    assert "| scaling | reported |" in text


def test_a_hostile_name_neither_notifies_nor_breaks_the_table(folders):
    folder = folders.made("shouting", '[{name: identity, label: "@everyone | <img src=x> [a](b)"}]')
    text = comment([verify(folder, images=0, settings=HERE)])
    assert "@everyone" not in text and "<img" not in text.replace("\\<", "") and "[a](b)" not in text
    (row,) = [line for line in text.splitlines() if "everyone" in line]
    assert row.replace("\\|", "").count("|") == 7


def test_a_folder_that_cannot_be_read_is_in_the_comment(scaled, tmp_path):
    file = tmp_path / "comment.md"
    command = ["verify", str(tmp_path), "--quiet", "--markdown", str(file)]
    assert CliRunner().invoke(app, command).exit_code == 3
    assert "refused" in file.read_text() and "checksums.sha256 cannot be read" in file.read_text()
    assert comment([]) == "No published folder was changed.\n"


def git(folder, *arguments):
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def steps(tmp_path):
    """Run the steps of the workflow in a clone of a repository with a pull request, as its runner does."""
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    (tmp_path / "bin").mkdir()
    shim = tmp_path / "bin" / "restorebench"
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} -m restorebench "$@"\n')
    shim.chmod(0o755)

    def carry_out(change):
        origin.mkdir()
        git(origin, "init", "--quiet", "--initial-branch", "main")
        (origin / "results").mkdir()
        (origin / "results" / "claims.csv").write_text("x\n")
        (origin / "code.py").write_text("mine\n")
        git(origin, "add", "-A")
        git(origin, "commit", "--quiet", "-m", "base")
        base = git(origin, "rev-parse", "HEAD")
        git(origin, "switch", "--quiet", "-c", "theirs")
        change(origin)
        git(origin, "add", "-A")
        git(origin, "commit", "--quiet", "-m", "theirs")
        head = git(origin, "rev-parse", "HEAD")
        git(origin, "update-ref", "refs/pull/1/head", head)
        git(origin, "switch", "--quiet", "main")
        git(origin, "branch", "--quiet", "-D", "theirs")
        git(tmp_path, "clone", "--quiet", str(origin), str(clone))
        environment = {
            **os.environ,
            **{"BASE": base, "HEAD": head, "NUMBER": "1", "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")},
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        }
        codes = []
        for step in yaml.safe_load(WORKFLOW.read_text())["jobs"]["verify"]["steps"]:
            if "run" in step and not step["run"].startswith("pip install"):
                shell = ["bash", "-e", "-o", "pipefail", "-c", step["run"]]
                codes.append(subprocess.run(shell, cwd=clone, env=environment).returncode)
        return codes, (tmp_path / "summary.md").read_text(), clone

    return carry_out


@pytest.mark.slow
def test_the_workflow_verifies_what_a_pull_request_changes(steps, scaled):
    def theirs(origin):
        add(scaled, origin / "results")
        (origin / "code.py").write_text("theirs\n")

    codes, summary, clone = steps(theirs)
    assert codes == [0, 0, 0]
    assert "### results/tiny/1: nothing is wrong" in summary and "| identity | reproduced | 2 of 6 |" in summary
    assert (clone / "code.py").read_text() == "mine\n"


def test_the_workflow_fails_on_a_folder_that_is_not_true(steps, scaled):
    def theirs(origin):
        shutil.copytree(scaled, origin / "results" / "tiny" / "a b")
        (origin / "results" / "tiny" / "a b" / "records.csv").write_text("")

    codes, summary, _ = steps(theirs)
    assert codes[0] == 0 and codes[1] != 0 and codes[2] == 0
    assert "### results/tiny/a b: refused" in summary


def test_the_workflow_says_so_where_no_folder_is_changed(steps):
    codes, summary, _ = steps(lambda origin: (origin / "results" / "claims.csv").write_text("y\n"))
    assert codes == [0, 0, 0] and summary == "No published folder was changed.\n"


def test_no_code_of_a_pull_request_can_write():
    workflow = yaml.safe_load(WORKFLOW.read_text())
    jobs = workflow["jobs"]
    assert workflow["permissions"] == {"contents": "read"} and "permissions" not in jobs["verify"]
    checkout = jobs["verify"]["steps"][0]
    assert "ref" not in checkout["with"] and checkout["with"]["persist-credentials"] is False
    assert not any("checkout" in step.get("uses", "") for step in jobs["comment"]["steps"])
    for job in jobs.values():
        for step in job["steps"]:  # what an author chooses reaches a shell by its environment alone
            assert "${{" not in step.get("run", "")
