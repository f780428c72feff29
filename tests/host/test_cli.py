"""The command line as a user meets it: exit codes, one-line errors, files."""

from __future__ import annotations

import csv
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restorebench import cli

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """Run a command in tmp_path; returns (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RESTOREBENCH_DATA", raising=False)

    def carry_out(*arguments):
        monkeypatch.setattr(sys, "argv", ["restorebench", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code or 0
        written = capsys.readouterr()
        return code, written.out, written.err

    return carry_out


def photograph(path, size=48, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC).save(path)
    return path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "quikstart"], "no suite called 'quikstart' (nearest: quickstart)"),
        (["run", "quickstart", "--restorers", "clasical"], "no restorer 'clasical' (nearest: classical)"),
        (["run", "quickstart", "--tasks", "noise"], "no task 'noise'"),
        (["run", "quickstart", "--set", "metrics=[pnsr]"], "no metric called 'pnsr' (nearest: psnr"),
        (["run", "quickstart", "--set", "protocols=[rbg]"], "no protocol called 'rbg' (nearest: rgb)"),
        (
            ["run", "quickstart", "--set", "restorers=[idnetity]"],
            "no restorer called 'idnetity' (nearest: identity)",
        ),
        (["run", "quickstart", "--set", "metrcs=[psnr]"], "metrcs: no such key (nearest: metrics"),
        (["run", "real10"], "give --data DIR or set RESTOREBENCH_DATA"),
        (["run", "real10", "--data", "nowhere"], "nowhere"),
        (["run", "ten", "--set", "clean=nowhere"], "nowhere"),
        (["run", "quickstart", "--plugin", "none.py"], "none.py"),
        (["list", "restorer"], "nothing to list called 'restorer' (nearest: restorers"),
        (["restore", "none.png", "-m", "identity", "-o", "out"], "none.png"),
        (["restore", "none.png", "-m", "idntity", "-o", "out"], "identity"),
        (["score", "none", "none"], "none is not a folder"),
        (["score", "none"], "none holds no run"),
        (["report", "none"], "none holds no run"),
    ],
)
def test_a_mistake_is_named_in_a_line_and_exits_with_2(call, arguments, message):
    code, _, error = call(*arguments)
    assert code == 2
    assert message in error
    assert "Traceback" not in error


def test_every_mistake_of_a_suite_is_reported_at_once(call, tmp_path):
    (tmp_path / "bad.yaml").write_text(
        "suite: bad\nsede: 1\ntasks: [noisy, foggy]\ndatasets:\n  - name: synthetic\n    options: {crp: 64}\n"
        "restorers: [idntity]\n"
    )
    code, _, error = call("validate", "bad.yaml")
    assert code == 2
    for place in (
        "bad.yaml:2:1: sede",
        "bad.yaml:3:16: tasks[1]",
        "bad.yaml:6:15: datasets[0].options.crp",
        "bad.yaml:7:13",
    ):
        assert place in error, error


def test_a_restorer_that_is_called_none_is_not_overlooked(call, tmp_path):
    (tmp_path / "bad.yaml").write_text("suite: bad\nsede: 1\ndatasets: [synthetic]\nrestorers: [none]\n")
    _, _, error = call("validate", "bad.yaml")
    assert "bad.yaml:2:1: sede" in error
    assert "bad.yaml:4:13: restorers[0].name: no restorer called 'none'" in error


def test_reporting_and_scoring_failures_exit_as_running_them_does(call, tmp_path):
    photograph(tmp_path / "clean" / "a.png")
    plugin = Path(__file__).parent / "plugins" / "faulty.py"
    code, _, error = call(
        "run", "ten", "--set", "clean=clean", "--tasks", "noisy", "--set", "restorers=[identity, raises]",
        "--set", "detectors=[]", "--plugin", plugin, "--save", "all", "--workers", "0", "--out", "out",
    )  # fmt: skip
    assert code == 3, error
    assert call("report", "out")[0] == 3
    assert call("score", "out", "--workers", "0")[0] == 3


def test_lists_name_what_is_there(call):
    for kind, name in [
        ("restorers", "identity"),
        ("detectors", "statistics"),
        ("degradations", "noisy"),
        ("datasets", "paired-folder"),
        ("metrics", "psnr"),
        ("reporters", "csv"),
        ("tasks", "uncompleted"),
        ("protocols", "airnet"),
        ("suites", "quickstart"),
        ("plugins", "restorebench_classical"),
    ]:
        code, out, _ = call("list", kind)
        assert code == 0
        assert name in out
        assert json.loads(call("list", kind, "--json")[1])
    assert "crop" in call("list", "datasets", "-v")[1]


def test_a_dry_run_runs_nothing(call, tmp_path):
    code, out, _ = call("run", "quickstart", "--dry-run")
    assert code == 0
    assert "nothing was run" in out
    assert not (tmp_path / "runs").exists()


def test_doctor_and_schema_answer(call):
    assert "torch" in call("doctor")[1]
    assert json.loads(call("schema")[1])["title"] == "Suite"


def test_degrade_then_restore_then_score(call, tmp_path):
    photograph(tmp_path / "clean" / "a.png")
    photograph(tmp_path / "clean" / "b.png", seed=1)
    code, _, error = call("degrade", "clean", "-t", "noisy", "--severity", "3", "-o", "lq", "--workers", "0")
    assert code == 0, error
    made = sorted(path.name for path in (tmp_path / "lq").iterdir())
    assert len([name for name in made if name.endswith(".png")]) == 2
    parameters = json.loads(next((tmp_path / "lq").glob("*.json")).read_text())
    assert parameters["severity"] == 3
    code, _, error = call("restore", "lq", "-m", "identity", "-o", "out", "--workers", "0")
    assert code == 0, error
    for path in (tmp_path / "lq").glob("*.png"):
        assert np.array_equal(Image.open(path), Image.open(tmp_path / "out" / path.name))
    (tmp_path / "gt").mkdir()
    for path in (tmp_path / "out").glob("*.png"):
        source = tmp_path / "clean" / f"{path.name[0]}.png"
        (tmp_path / "gt" / path.name).write_bytes(source.read_bytes())
    arguments = ["--metrics", "psnr,ssim", "--protocol", "rgb,y", "--csv", "s.csv", "--workers", "0"]
    code, _, error = call("score", "out", "gt", *arguments)
    assert code == 0, error
    rows = list(csv.DictReader((tmp_path / "s.csv").read_text().splitlines()))
    assert list(rows[0]) == ["sample", "psnr@rgb", "ssim@rgb", "psnr@y", "ssim@y"]
    for row in rows:
        one, two = (np.asarray(Image.open(tmp_path / f / f"{row['sample']}.png"), float) for f in ("out", "gt"))
        assert float(row["psnr@rgb"]) == pytest.approx(10 * np.log10(255**2 / ((one - two) ** 2).mean()), abs=1e-6)


def test_a_run_with_a_relative_override_is_reported_and_scored_from_anywhere(call, tmp_path, monkeypatch):
    photograph(tmp_path / "photos" / "val" / "a.png")
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "s.yaml").write_text(
        "suite: s\ntasks: [noisy]\nvariables: {clean: nowhere}\nsave: all\nclean_inputs: false\n"
        "datasets: [{name: synthetic, options: {clean: '${clean}/val'}}]\n"
    )
    code, _, error = call("run", "suites/s.yaml", "--set", "clean=photos", "--workers", "0", "--out", "out")
    assert code == 0, error
    before = (tmp_path / "out" / "leaderboard.csv").read_bytes()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for command in (["report"], ["score", "--workers", "0"]):
        code, _, error = call(*command, tmp_path / "out")
        assert code == 0, error
        assert (tmp_path / "out" / "leaderboard.csv").read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_a_broken_image_is_named(call, tmp_path, content):
    photograph(tmp_path / "d" / "noisy" / "GT" / "a.png")
    (tmp_path / "d" / "noisy" / "LQ").mkdir()
    (tmp_path / "d" / "noisy" / "LQ" / "a.png").write_bytes(content)
    (tmp_path / "s.yaml").write_text(
        "suite: s\ntasks: [noisy]\ndatasets: [{name: paired-folder, options: {path: d}}]\n"
    )
    code, _, error = call("run", "s.yaml", "--workers", "0")
    assert code == 2
    assert "a.png" in error


def test_a_truncated_image_is_named_although_its_header_is_whole(call, tmp_path):
    whole = photograph(tmp_path / "d" / "noisy" / "GT" / "a.png").read_bytes()
    (tmp_path / "d" / "noisy" / "LQ").mkdir()
    (tmp_path / "d" / "noisy" / "LQ" / "a.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "s.yaml").write_text(
        "suite: s\ntasks: [noisy]\ndatasets: [{name: paired-folder, options: {path: d}}]\n"
    )
    for workers in ("0", "1"):
        code, _, error = call("run", "s.yaml", "--workers", workers, "--device", "cpu")
        assert code == 2
        assert "a.png" in error


def test_a_device_that_is_not_there_is_refused(call, tmp_path):
    photograph(tmp_path / "clean" / "a.png")
    for workers in ("0", "1"):
        code, _, error = call(
            "run", "ten", "--set", "clean=clean", "--tasks", "noisy", "--device", "cuda:97", "--workers", workers
        )
        assert code == 2
        assert "cuda:97" in error


def test_the_plugin_in_the_readme_works_when_pasted(call, tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (tmp_path / "median.py").write_text(next(block for block in blocks if "hookimpl" in block))
    code, _, error = call(
        "run", "quickstart", "--plugin", "median.py", "--set", "restorers=[identity, median]", "--tasks", "noisy",
        "--set", "detectors=[]", "--workers", "0", "--limit", "2",
    )  # fmt: skip
    assert code == 0, error
    rows = list(csv.DictReader((tmp_path / "runs" / "quickstart" / "leaderboard.csv").read_text().splitlines()))
    gains = {row["restorer"]: float(row["gain"]) for row in rows if row["task"] == "noisy"}
    assert gains["median"] > 2
    assert gains["identity"] == 0
