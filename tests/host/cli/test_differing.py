from __future__ import annotations

import json

import pandas as pd
import pytest

SUITE = """
suite: small
tasks: [noisy, hazy]
datasets: [{name: synthetic, options: {clean: embedded, crop: 32}}]
restorers: [identity]
metrics: [psnr]
clean_inputs: false
"""


@pytest.fixture
def runs(call, tmp_path):
    """Two runs of a suite, of which the second has another seed for one of its tasks' images."""
    (tmp_path / "small.yaml").write_text(SUITE)
    for out, more in (("a", []), ("b", ["--set", "seed=1"])):
        code, _, error = call("run", "small.yaml", "--workers", "0", "--out", out, "-q", *more)
        assert code == 0, error
    return "a", "b"


def test_it_prints_the_cause_and_what_moved(call, runs):
    code, out, _ = call("diff", *runs)
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "a against b"
    assert ["seed", "seed", "0", "1"] in [line.split() for line in lines]
    assert any(line.split()[:3] == ["identity", "psnr@rgb", "2"] for line in lines)
    code, out, _ = call("diff", "a", "a")
    assert code == 2


def test_csv_and_json_have_every_move(call, runs, tmp_path):
    assert call("diff", *runs, "--csv", "moved.csv")[0] == 0
    frame = pd.read_csv(tmp_path / "moved.csv")
    assert list(frame.task) == ["noisy", "hazy"]
    assert (frame.after - frame.before - frame.change).abs().max() < 2e-6
    code, out, _ = call("diff", *runs, "--json")
    found = json.loads(out)
    assert code == 0
    assert [cause["kind"] for cause in found["causes"]] == ["seed", "data"]
    assert [move["task"] for move in found["moved"]] == ["noisy", "hazy"]
    code, _, error = call("diff", *runs, "--json", "--csv", "moved.csv")
    assert (code, "leave one of them out" in error) == (2, True)


@pytest.mark.parametrize(
    ("given", "message"), [(("a", "none"), "none/manifest.json cannot be read"), (("a",), "RUN_B")]
)
def test_what_is_no_run_is_one_line(call, runs, given, message):
    code, _, error = call("diff", *given)
    assert code == 2
    assert message in error
