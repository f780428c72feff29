"""The lines below the tables at the end of a run."""

from __future__ import annotations

import pytest

from restorebench.cli.summary import print_result

BLIND = {"name": "classical", "tell": "random"}
TOLD = {"name": "classical", "tell": "task"}


@pytest.fixture
def summary(run, capsys):
    """Run restorers on three noisy pairs, and return the tables and the lines that are printed."""

    def carried_out(restorers, **keys):
        result, _ = run(restorers, plugins=(), settings={"workers": 0}, **keys)
        print_result(result)
        return result.tables, capsys.readouterr().out.splitlines()

    return carried_out


def test_the_regret_of_a_detector_stands_beside_that_of_a_random_label(summary):
    rows = [TOLD, BLIND, {"name": "classical", "tell": "statistics"}]
    tables, lines = summary(rows, detectors=["random", "statistics"])
    average = tables.leaderboard[tables.leaderboard.task == "average"].set_index("tell")["psnr@rgb"]
    losses = (f"{name} {average['task'] - average[name]:.2f} dB" for name in ("random", "statistics"))
    told = "classical told by a detector in place of the task loses on average (psnr@rgb)"
    assert f"{told}: {', '.join(losses)}" in lines
    assert average["task"] - average["random"] > 0.01


def test_without_a_detector_that_tells_there_is_no_regret(summary):
    _, lines = summary([TOLD, "classical"])
    assert not any("in place of the task" in line for line in lines)


def test_what_restorers_altered_in_clean_images_is_printed(summary):
    tables, lines = summary(["identity", BLIND], metrics=["psnr", "altered"], clean_inputs=True)
    clean = tables.leaderboard[tables.leaderboard.task == "clean"].set_index("restorer")["altered@rgb"]
    (line,) = (line for line in lines if line.startswith("altered@rgb on clean images (lower is better): "))
    assert sorted(line.partition("): ")[2].split(", ")) == [
        f"classical:random {clean['classical']:.3f}",
        "identity 0.000",
    ]
    assert clean["classical"] > 0


def test_a_score_of_all_tasks_is_not_one_of_clean_images(summary):
    _, lines = summary(["identity"], clean_inputs=True)
    assert not any(" on clean images" in line for line in lines)


@pytest.mark.parametrize("labels", [["one"], ["one", "two"]])
def test_what_a_detector_achieves_is_said_for_each_dataset(summary, pairs, labels):
    data = [{"name": "paired-folder", "label": label, "options": {"path": str(pairs)}} for label in labels]
    _, lines = summary(["identity"], detectors=["statistics"], datasets=data)
    told = [line.partition(": names the degradation of ")[0] for line in lines if line.startswith("detector ")]
    assert told == (
        ["detector statistics"] if len(labels) == 1 else [f"detector statistics ({n})" for n in labels]
    )
