"""The command line as a user meets it: exit codes, one-line errors, files."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restorebench.cli import progress
from restorebench.commands.delivery import Delivery

ROOT = Path(__file__).resolve().parents[3]


def photograph(path, size=48, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC).save(path)
    return path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "quikstart"], "no suite called 'quikstart' (nearest: quickstart)"),
        (
            ["run", "quickstart", "--restorers", "clasical"],
            "nor a plugin has a restorer 'clasical' (nearest: classical",
        ),
        (["run", "quickstart", "--tasks", "noise"], "no task 'noise'"),
        (["run", "quickstart", "--set", "metrics=[pnsr]"], "no metric called 'pnsr' (nearest: psnr"),
        (["run", "quickstart", "--set", "protocols=[rbg]"], "no protocol called 'rbg' (nearest: rgb)"),
        (
            ["run", "quickstart", "--set", "restorers=[idnetity]"],
            "no restorer called 'idnetity' (nearest: identity",
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


def test_the_help_tells_the_exit_codes(call):
    out = call("--help")[1]
    assert all(re.search(rf"\b{code} \w", out) for code in (0, 1, 2, 3, 130)), out
    assert "Exit codes: 0 success" in (ROOT / "benchmark" / "docs" / "cli.md").read_text()


def test_every_mistake_of_a_suite_is_reported_at_once(call, tmp_path):
    (tmp_path / "bad.yaml").write_text(
        "suite: bad\nsede: 1\ntasks: [noisy, foggy]\ndatasets:\n  - name: synthetic\n    options: {crp: 64}\n"
        "restorers: [idntity]\n"
    )
    code, _, error = call("validate", "bad.yaml")
    assert code == 2
    for where in (
        "bad.yaml:2:1: sede",
        "bad.yaml:3:16: tasks[1]",
        "bad.yaml:6:15: datasets[0].options.crp",
        "bad.yaml:7:13",
    ):
        assert where in error, error


def test_a_list_with_a_wrong_item_is_not_called_empty_too(call, tmp_path):
    code, _, error = call("validate", "ten", "--set", "clean=.", "--set", "severities=[9]")
    assert code == 2
    assert error.count("\n") == 1
    assert error.endswith("severities[0]: input should be less than or equal to 5, got 9\n")
    assert "at least 1 item" in call("validate", "ten", "--set", "clean=.", "--set", "severities=[]")[2]


def test_a_restorer_that_is_called_none_is_not_overlooked(call, tmp_path):
    (tmp_path / "bad.yaml").write_text("suite: bad\nsede: 1\ndatasets: [synthetic]\nrestorers: [none]\n")
    _, _, error = call("validate", "bad.yaml")
    assert "bad.yaml:2:1: sede" in error
    assert "bad.yaml:4:13: restorers[0].name: no restorer called 'none'" in error


def test_reporting_and_scoring_failures_exit_as_running_them_does(call, tmp_path):
    photograph(tmp_path / "clean" / "a.png")
    plugin = Path(__file__).parents[1] / "plugins" / "faulty.py"
    code, _, error = call(
        "run", "ten", "--set", "clean=clean", "--tasks", "noisy", "--set", "restorers=[identity, raises]",
        "--set", "detectors=[]", "--plugin", plugin, "--save", "all", "--workers", "0", "--out", "out",
    )  # fmt: skip
    assert code == 3, error
    assert call("report", "out", "--plugin", plugin)[0] == 3
    assert call("score", "out", "--workers", "0", "--plugin", plugin)[0] == 3


def test_lists_name_what_is_there(call):
    for kind, name in [
        ("restorers", "identity"),
        ("detectors", "statistics"),
        ("degradations", "noisy"),
        ("datasets", "paired-folder"),
        ("metrics", "psnr"),
        ("reporters", "csv"),
        ("figures", "radar"),
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


def test_options_are_listed_with_their_defaults(call):
    rows = {row["name"]: row for row in json.loads(call("list", "datasets", "-v", "--json")[1])}
    given = {item["name"]: item for item in rows["synthetic"]["options"]}
    assert given["degradations"]["default"] == {}
    assert given["severities"] == {
        "name": "severities",
        "required": False,
        "default": [3],
        "description": "severities from 1 to 5; every photograph is degraded at each",
    }
    path, _ = rows["unpaired"]["options"]
    assert (path["required"], path["default"]) == (True, None)
    table = call("list", "datasets", "-v")[1]
    assert "Undefined" not in table
    assert "path=required" in table


def test_a_card_that_fails_does_not_hide_the_others_from_the_list(call, tmp_path):
    (tmp_path / "odd.py").write_text(
        "from pydantic import BaseModel\nfrom restorebench import RestorerInfo, hookimpl\n"
        "class Options(BaseModel):\n    size: int\n"
        "@hookimpl\ndef restorebench_restorers():\n"
        "    facts = dict(version='1', summary='Odd.', load='a:b')\n"
        "    return [RestorerInfo(name='one', resources=lambda options: 1 / 0, **facts),\n"
        "        RestorerInfo(name='two', resources=lambda options: [], options=Options, **facts),\n"
        "        RestorerInfo(name='three', options='nowhere:Options', **facts)]\n"
    )
    code, out, error = call("list", "restorers", "-v", "--json", "--plugin", "odd.py")
    assert code == 0, error
    rows = {row["name"]: row for row in json.loads(out)}
    assert "ZeroDivisionError" in rows["one"]["weights"]
    assert rows["two"]["weights"] == "depends on its options"
    assert "No module named 'nowhere'" in rows["three"]["options"]
    assert "identity" in rows


def test_a_dry_run_runs_nothing(call, tmp_path):
    code, out, _ = call("run", "quickstart", "--dry-run")
    assert code == 0
    assert "nothing was run" in out
    assert not (tmp_path / "runs").exists()


def test_a_dry_run_says_how_much_is_still_to_do(call, tmp_path):
    for name in "abc":
        photograph(tmp_path / "clean" / f"{name}.png", seed=ord(name))
    arguments = ["run", "ten", "--set", "clean=clean", "--tasks", "noisy", "--set", "clean_inputs=false"]
    arguments += ["--set", "restorers=[identity, {name: classical, tell: statistics}]", "--workers", "0"]
    ending = "cells, 6 restorations{}; nothing was run"
    assert ending.format("") in call(*arguments, "--dry-run")[1]
    assert call(*arguments, "--limit", "1")[0] == 0
    assert ending.format(", 4 still to do") in call(*arguments, "--dry-run")[1]
    assert call(*arguments)[0] == 0
    before = bytes_of(tmp_path / "runs")
    assert ending.format(", 0 still to do") in call(*arguments, "--dry-run")[1]
    assert ending.format("") in call(*arguments, "--dry-run", "--fresh")[1]
    after = bytes_of(tmp_path / "runs")
    assert {path: content for path, content in after.items() if "sqlite-" not in path.name} == before


def test_a_dry_run_prints_labels_as_they_are(call):
    restorers = "restorers=[{name: identity, label: '[bold]mine[/nothing]'}]"
    code, out, error = call("run", "quickstart", "--dry-run", "--set", restorers)
    assert code == 0, error
    assert "[bold]mine[/nothing]" in out


def test_a_list_of_metrics_that_names_none_is_refused(call, two_folders):
    code, out, error = scored(call, " , ")
    assert (code, out, error) == (2, "", "restorebench: --metrics: names none; name one, or leave it out\n")


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
    facts = json.loads((tmp_path / "lq" / "a.json").read_text())
    assert facts["severity"] == 3
    assert facts["made_from"]["source"] == "a.png"
    assert (facts["made_from"]["task"], facts["made_from"]["seed"]) == ("noisy", 0)
    assert facts["made_from"]["versions"].keys() == {"restorebench", "noisy"}
    code, _, error = call("restore", "lq", "-m", "identity", "-o", "out", "--workers", "0")
    assert code == 0, error
    for path in (tmp_path / "lq").glob("*.png"):
        assert np.array_equal(Image.open(path), Image.open(tmp_path / "out" / path.name))
    arguments = ["--metrics", "psnr,ssim", "--protocol", "rgb,y", "--csv", "s.csv", "--workers", "0"]
    code, _, error = call("score", "out", "clean", *arguments)
    assert code == 0, error
    rows = list(csv.DictReader((tmp_path / "s.csv").read_text().splitlines()))
    assert list(rows[0]) == ["sample", "psnr@rgb", "ssim@rgb", "psnr@y", "ssim@y"]
    for row in rows:
        one, two = (np.asarray(Image.open(tmp_path / f / f"{row['sample']}.png"), float) for f in ("out", "clean"))
        assert float(row["psnr@rgb"]) == pytest.approx(10 * np.log10(255**2 / ((one - two) ** 2).mean()), abs=1e-6)


METRICS = """
import torch
from restorebench import MetricInfo, ScoringProtocol, hookimpl


def mse(restored, clean):
    return ((restored - clean) * 255).square().mean((1, 2, 3))


def fails_on_bright(restored, clean):
    if float(clean.mean()) > 0.6:
        raise ValueError("too bright")
    return mse(restored, clean)


@hookimpl
def restorebench_metrics():
    protocols = (ScoringProtocol("rgb", "RGB."),)
    facts = dict(version="1", summary="Tests.", higher_is_better=False, protocols=protocols)
    return [
        MetricInfo(name="mse", load=lambda *anything: mse, **facts),
        MetricInfo(name="fails", load=lambda *anything: fails_on_bright, **facts),
    ]
"""


@pytest.fixture
def two_folders(tmp_path):
    """Restored and clean images of one level each: errors of 20 and 10 levels, the second pair bright."""
    (tmp_path / "metrics.py").write_text(METRICS)
    for folder, levels in [("out", (30, 210)), ("gt", (10, 200))]:
        (tmp_path / folder).mkdir()
        for name, level in zip("ab", levels, strict=True):
            Image.new("RGB", (8, 8), (level,) * 3).save(tmp_path / folder / f"{name}.png")


def scored(call, *metrics):
    return call("score", "out", "gt", "--metrics", ",".join(metrics), "--plugin", "metrics.py", "--workers", "0")


def test_only_decibels_are_capped_in_the_mean_of_two_folders(call, two_folders):
    code, out, error = scored(call, "mse", "psnr")
    assert code == 0, error
    assert out.splitlines()[-1].split()[:4] == ["mean", "of", "2", "250.000000"]  # of 400 and 100


def test_a_metric_that_fails_is_reported_and_the_other_scores_are_kept(call, two_folders):
    code, out, error = scored(call, "fails", "mse")
    assert code == 3
    assert error.endswith("failed: b: error: metric fails@rgb: ValueError: too bright\n")
    assert [line.split()[1:] for line in out.splitlines()[1:3]] == [["400.000000", "400.000000"], ["100.000000"]]


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("ssim", "no ssim@rgb: it needs 11 px a side, the smallest image has 8; leave out"),
        ("psnr-hole", "psnr-hole@rgb is only for uncompleted"),
    ],
)
def test_a_metric_that_two_folders_cannot_be_scored_under_is_refused(call, two_folders, metric, message):
    code, out, error = scored(call, "psnr", metric)
    assert (code, out) == (2, "")
    assert message in error


@pytest.mark.parametrize(
    "command",
    [
        "restore images -m identity -o made",
        "degrade images -t noisy -o made",
        "detect images",
        "score images images",
    ],
)
def test_every_command_that_may_take_long_says_how_far_it_is(call, tmp_path, monkeypatch, command):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0)
    for name in "ab":
        photograph(tmp_path / "images" / f"{name}.png", seed=ord(name))
    code, _, error = call(*command.split(), "--workers", "0")
    assert (code, error) == (0, f"{'detect' if command.startswith('detect') else 'restore'}: 1 of 2 images\n")


def test_scoring_a_run_again_says_how_far_it_is(call, tmp_path):
    photograph(tmp_path / "images" / "a.png")
    (tmp_path / "s.yaml").write_text(
        "suite: s\ntasks: [noisy]\nsave: all\nclean_inputs: false\nmetrics: [psnr]\n"
        "datasets: [{name: synthetic, options: {clean: images}}]\n"
    )
    assert call("run", "s.yaml", "--out", "out", "--workers", "0", "--quiet")[0] == 0
    code, out, error = call("score", "out", "--metrics", "ssim,psnr", "--protocol", "y,daclip", "--workers", "0")
    assert (code, error) == (0, "noisy · identity: 1 image\n")
    titles = [line.split()[0] for line in out.splitlines() if line.endswith("(higher is better)")]
    assert titles == ["ssim@y", "psnr@y", "ssim@daclip", "psnr@daclip"]
    assert "out/scores/leaderboard.csv" in out


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


def test_a_manifest_names_what_others_have_at_other_places(call, tmp_path):
    """Paths relative to the suite or a root, a plugin by its file: the same from elsewhere, and after report."""
    photograph(tmp_path / "root" / "clean" / "a.png")
    pair = [photograph(tmp_path / "suites" / "pairs" / "noisy" / side / "b.png", seed=2) for side in ("LQ", "GT")]
    Image.open(pair[0]).rotate(90).save(pair[0])
    (tmp_path / "suites" / "s.yaml").write_text(
        "suite: s\ntasks: [noisy]\nvariables: {clean: '${data}/clean'}\nclean_inputs: false\nmetrics: [psnr]\n"
        "datasets:\n- {name: synthetic, options: {clean: '${clean}'}}\n"
        "- {name: paired-folder, options: {path: pairs}}\nrestorers: [identity, copy]\n"
    )
    (tmp_path / "suites" / "copy_plugin.py").write_text(
        "from restorebench import RestorerInfo, hookimpl\n"
        "class Copy:\n    def restore(self, batch):\n        return batch.degraded.clone()\n"
        "@hookimpl\ndef restorebench_restorers():\n"
        "    return [RestorerInfo(name='copy', version='1', summary='C.', load=lambda options, runtime: Copy())]\n"
    )
    arguments = ["--data", "root", "--plugin", "suites/copy_plugin.py", "--workers", "0", "--out", "out"]
    code, _, error = call("run", "suites/s.yaml", *arguments)
    assert code == 0, error
    text = (tmp_path / "out" / "manifest.json").read_text()
    facts = json.loads(text)
    assert [item["options"] for item in facts["suite"]["datasets"]] == [
        {"clean": "${data}/clean"}, {"path": "pairs"}
    ]  # fmt: skip
    assert facts["suite"]["variables"]["clean"] == "${data}/clean"
    assert {cell["plugin"] for cell in facts["cells"]} == {
        "restorebench (restorebench_classical)",
        "copy_plugin.py",
    }
    assert facts.pop("roots") == {"data": str(tmp_path / "root")}
    assert str(tmp_path) not in json.dumps(facts)
    records = csv.DictReader((tmp_path / "out" / "records.csv").read_text().splitlines())
    assert {row["digest"] for row in records} == {cell["digest"] for cell in facts["cells"]}
    assert call("report", "out", "--plugin", "suites/copy_plugin.py")[0] == 0
    assert (tmp_path / "out" / "manifest.json").read_text() == text


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


@pytest.mark.parametrize(
    "command",
    ["restore {} -m identity -o out", "degrade {} -t noisy -o out", "detect {}", "score {} clean"],
)
def test_every_broken_image_of_a_folder_is_named_at_once(call, tmp_path, command):
    for folder in ("bad", "clean"):
        photograph(tmp_path / folder / "fine.png")
    for number in range(7):
        photograph(tmp_path / "clean" / f"{number}.png")
        (tmp_path / "bad" / f"{number}.png").write_text("not an image")
    code, _, error = call(*command.format("bad").split(), "--workers", "0")
    assert code == 2
    lines = error.splitlines()
    assert [f"bad/{number}.png: is not an image" in line for number, line in enumerate(lines)] == [True] * 5 + [
        False
    ]
    assert lines[5] == "and 2 more images cannot be used"


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
    code, _, error = call("validate", "s.yaml")
    assert code == 2
    assert "LQ/a.png: cannot be decoded" in error


def test_truncated_images_are_named_together_before_anything_runs(call, tmp_path):
    for name in "abc":
        whole = photograph(tmp_path / "photos" / f"{name}.png", seed=ord(name)).read_bytes()
        if name != "b":
            (tmp_path / "photos" / f"{name}.png").write_bytes(whole[: len(whole) // 2])
    code, _, error = call("run", "ten", "--set", "clean=photos", "--tasks", "noisy", "--out", "out")
    assert code == 2
    assert ["photos/a.png: cannot be decoded" in error, "photos/b.png" in error] == [True, False]
    assert "photos/c.png: cannot be decoded" in error
    assert not (tmp_path / "out").exists()


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


def bytes_of(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("command", [["restore", "-m", "identity"], ["degrade", "-t", "noisy"]])
@pytest.mark.parametrize("out", ["photos", "photos/inside", "link", "photos/../photos", "done"])
def test_nothing_that_is_there_is_overwritten(call, tmp_path, command, out):
    photograph(tmp_path / "photos" / "a.png")
    photograph(tmp_path / "photos" / "b.png", seed=1)
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    (tmp_path / "done").mkdir()
    for name in ("b.png", "b.json"):
        (tmp_path / "done" / name).write_text("mine")
    before = bytes_of(tmp_path)
    code, _, error = call(command[0], "photos", *command[1:], "-o", out, "--workers", "0")
    assert code == 2, error
    assert error.count("\n") == 1
    assert "another folder" in error or "outside it" in error
    assert bytes_of(tmp_path) == before


def test_a_single_image_does_not_replace_itself(call, tmp_path):
    photograph(tmp_path / "a.png")
    before = bytes_of(tmp_path)
    for more in ([], ["--overwrite"], ["--skip-existing"]):
        code, _, error = call("restore", "a.png", "-m", "identity", "-o", ".", "--workers", "0", *more)
        assert code == 2
        assert "a.png would be replaced by its own result" in error
    assert bytes_of(tmp_path) == before


@pytest.mark.parametrize("target", ["photos/a.png", "photos", "nowhere/s.csv"])
def test_a_csv_file_goes_where_it_harms_nothing(call, tmp_path, target):
    photograph(tmp_path / "photos" / "a.png")
    before = bytes_of(tmp_path)
    for command in (["detect", "photos"], ["score", "photos", "photos"]):
        code, _, error = call(*command, "--csv", target, "--workers", "0")
        assert code == 2
        assert error.startswith(f"restorebench: --csv {target}: ") and error.count("\n") == 1
        assert bytes_of(tmp_path) == before


@pytest.mark.parametrize("workers", ["0", "1"])
def test_an_image_that_fails_costs_no_other(call, tmp_path, workers):
    for name, level in [("a", 40), ("b", 220), ("c", 60)]:
        (tmp_path / "lq").mkdir(exist_ok=True)
        Image.new("RGB", (32, 32), (level,) * 3).save(tmp_path / "lq" / f"{name}.png")
    plugin = Path(__file__).parents[1] / "plugins" / "faulty.py"
    code, out, error = call(
        "restore", "lq", "-m", "fails-on-bright", "-o", "out", "--plugin", plugin, "--workers", workers,
        "--device", "cpu",
    )  # fmt: skip
    assert code == 3
    assert "2 images in out" in out
    assert "failed: b: " in error
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "c.png"]


@pytest.mark.parametrize("ending", [KeyboardInterrupt, "removed"])
def test_what_is_finished_stays_when_a_command_is_cut_short(call, tmp_path, monkeypatch, ending):
    for name in "abc":
        photograph(tmp_path / "lq" / f"{name}.png", seed=ord(name))
    take = Delivery.take

    def interrupted(self, event):
        take(self, event)
        if len(self.files) == 2 and ending == "removed":
            (tmp_path / "lq" / "c.png").unlink()
        elif len(self.files) == 2:
            raise ending

    monkeypatch.setattr(Delivery, "take", interrupted)
    code, _, error = call("restore", "lq", "-m", "identity", "-o", "out", "--workers", "0")
    assert code == (2 if ending == "removed" else 130)
    assert error.count("\n") == 1
    assert ("c.png" in error and "2 finished images are in out") or "finished images are in out" in error
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--option", "x"], "--option x: expected key=value"),
        (["--option", "=1"], "--option =1: expected key=value"),
        (["--option", "a.b.c="], "got a.b.c"),
        (["--option", "a=[1"], "--option a=[1: "),
        (["--option", "a=1", "--option", "a=2"], "a is given twice"),
        (["--seed", "99999999999999999999999"], "seed: input should be less than"),
        (["--device", "gpu"], "--device gpu: "),
        (["--task", "noisy", "--detector", "statistics"], "not both"),
    ],
)
def test_a_malformed_argument_is_one_line(call, tmp_path, arguments, message):
    photograph(tmp_path / "a.png")
    code, _, error = call("restore", "a.png", "-m", "identity", "-o", "out", "--workers", "0", *arguments)
    assert code == 2
    assert message in error
    assert error.startswith("restorebench: ") and error.count("\n") == 1


@pytest.mark.parametrize("command", [["report"], ["restore", "a.png", "-m", "identity", "-o"]])
def test_a_place_the_system_will_not_touch_is_named(call, tmp_path, command):
    photograph(tmp_path / "a.png")
    code, _, error = call(*command, "x" * 300)  # as the superuser, tests may write anywhere but there
    assert code == 2
    assert error.startswith(f"restorebench: {'x' * 300}") and error.count("\n") == 1


def test_a_restorer_that_must_be_told_is_not_silently_left_out(call, tmp_path):
    photograph(tmp_path / "a.png")
    (tmp_path / "needy.py").write_text(
        "from restorebench import RestorerInfo, hookimpl\n@hookimpl\ndef restorebench_restorers():\n"
        "    return [RestorerInfo(name='needy', version='1', summary='Asks.', load='a:b', needs_task=True)]\n"
    )
    code, _, error = call("restore", "a.png", "-m", "needy", "-o", "out", "--plugin", "needy.py", "--workers", "0")
    assert code == 2
    assert "needs to be told the task" in error


def test_a_restorer_that_was_told_nothing_does_not_copy_its_input_without_a_word(call, tmp_path):
    photograph(tmp_path / "a.png")
    code, _, error = call("restore", "a.png", "-m", "classical", "-o", "blind", "--workers", "0")
    assert (code, error) == (
        0, "note: classical returns its input unless it is told a task: give --task or --detector\n"
    )  # fmt: skip
    for name, told in (("identity", ()), ("classical", ("-t", "noisy"))):
        assert call("restore", "a.png", "-m", name, *told, "-o", name, "--workers", "0")[2] == ""


@pytest.mark.parametrize("command", [["restore", "-m", "identity"], ["degrade", "-t", "noisy"]])
@pytest.mark.parametrize("left", ["b.json", "b.png"])
def test_a_command_that_was_killed_goes_on(call, tmp_path, command, left):
    """Its folder holds what was finished, and the JSON of an image at most."""
    for name in "abc":
        photograph(tmp_path / "in" / f"{name}.png", seed=ord(name))
    arguments = [command[0], "in", *command[1:], "--workers", "0"]
    assert call(*arguments, "-o", "whole")[0] == 0
    whole = tmp_path / "whole"
    (tmp_path / "out").mkdir()
    for path in [*whole.glob("a.*"), *whole.glob(left)]:
        (tmp_path / "out" / path.name).write_bytes(path.read_bytes())
    before = (tmp_path / "out" / "a.png").stat().st_mtime_ns
    code, _, error = call(*arguments, "-o", "out")
    assert code == 2
    assert "out/a.png exists and is not overwritten" in error
    assert "--skip-existing" in error and "--overwrite" in error
    code, out, error = call(*arguments, "-o", "out", "--skip-existing")
    assert (code, error) == (0, "")
    made = 1 if left == "b.png" else 2
    assert out == f"{made} image{'s' * (made - 1)} in out; {3 - made} existed and were kept\n"
    for path in whole.glob("*.png"):
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()
    assert (tmp_path / "out" / "a.png").stat().st_mtime_ns == before
    code, out, _ = call(*arguments, "-o", "out", "--skip-existing")
    assert (code, out) == (0, "0 images in out; 3 existed and were kept\n")


def test_overwriting_is_for_those_who_ask_for_it(call, tmp_path):
    photograph(tmp_path / "in" / "a.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png").write_text("old")
    arguments = ["restore", "in", "-m", "identity", "-o", "out", "--workers", "0"]
    assert call(*arguments, "--overwrite", "--skip-existing")[2].endswith("not both\n")
    assert call(*arguments, "--skip-existing")[0] == 0
    assert (tmp_path / "out" / "a.png").read_text() == "old"
    assert call(*arguments, "--overwrite")[0] == 0
    assert np.array_equal(Image.open(tmp_path / "in" / "a.png"), Image.open(tmp_path / "out" / "a.png"))


def test_one_image_goes_into_the_file_that_is_named(call, tmp_path):
    photograph(tmp_path / "in" / "a.png")
    code, out, error = call("restore", "in/a.png", "-m", "identity", "-o", "new/b.PNG", "--workers", "0")
    assert (code, out, error) == (0, "1 image: new/b.PNG\n", "")
    assert np.array_equal(Image.open(tmp_path / "in" / "a.png"), Image.open(tmp_path / "new" / "b.PNG"))
    assert call("degrade", "in/a.png", "-t", "noisy", "-o", "new/c.png", "--workers", "0")[0] == 0
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["b.PNG", "c.json", "c.png"]
    for source, output, message in [
        ("in/a.png", "new/b.PNG", "new/b.PNG exists and is not overwritten"),
        ("in/a.png", "d.jpg", "give -o d.png"),
        ("in", "d.png", "d.png names one image, and in is a folder"),
        ("in/a.png", "in/a.png", "in/a.png would be replaced by its own result"),
    ]:
        code, _, error = call("restore", source, "-m", "identity", "-o", output, "--workers", "0")
        assert code == 2
        assert message in error
    assert not (tmp_path / "d.jpg").exists() and not (tmp_path / "d.png").exists()


@pytest.mark.parametrize("command", [["restore", "-m", "identity"], ["degrade", "-t", "noisy"]])
def test_it_is_said_that_a_result_has_fewer_bits(call, tmp_path, command):
    photograph(tmp_path / "in" / "a.png")
    for name in ("b@2.png", "c@3.tif"):
        Image.fromarray(np.full((16, 16), 300, np.uint16)).save(tmp_path / "in" / name)
    said = "and 1 more: read at 16 bits; results are PNG files of 8 bits\n"
    code, _, error = call(command[0], "in", *command[1:], "-o", "out", "--workers", "0")
    assert (code, error) == (0, f"note: {tmp_path / 'in' / 'b@2.png'} {said}".replace(f"{tmp_path}/", ""))
    code, _, error = call(command[0], "in/a.png", *command[1:], "-o", "one", "--workers", "0")
    assert (code, error) == (0, "")


def test_it_is_said_that_a_result_has_no_transparency(call, tmp_path):
    (tmp_path / "in").mkdir()
    Image.new("RGBA", (16, 16), (9, 9, 9, 99)).save(tmp_path / "in" / "a.png")
    Image.new("P", (16, 16)).save(tmp_path / "in" / "b.png", transparency=0)
    code, _, error = call("restore", "in", "-m", "identity", "-o", "out", "--workers", "0")
    assert (code, error) == (0, "note: in/a.png and 1 more: laid over white; results have no transparency\n")


@pytest.mark.parametrize(("tile", "sides"), [([], {(72, 72)}), (["--tile", "32"], {(32, 32)})])
def test_a_large_image_may_be_restored_in_tiles(call, tmp_path, tile, sides):
    (tmp_path / "seen.py").write_text(
        "from pathlib import Path\nfrom restorebench import RestorerInfo, hookimpl\n"
        "class Seeing:\n    def __init__(self, options, runtime): pass\n"
        "    def restore(self, batch):\n        with Path('sides').open('a') as file:\n"
        "            print(*batch.degraded.shape[2:], file=file)\n        return batch.degraded.clone()\n"
        "@hookimpl\ndef restorebench_restorers():\n"
        "    return [RestorerInfo(name='seeing', version='1', summary='Notes sides.', load=Seeing)]\n"
    )
    photograph(tmp_path / "a.png", size=72)
    code, _, error = call(
        "restore", "a.png", "-m", "seeing", "-o", "out", "--plugin", "seen.py", *tile, "--workers", "0"
    )
    assert code == 0, error
    seen = {tuple(map(int, line.split())) for line in (tmp_path / "sides").read_text().splitlines()}
    assert seen == sides
    assert np.array_equal(
        np.asarray(Image.open(tmp_path / "out" / "a.png")), np.asarray(Image.open(tmp_path / "a.png"))
    )


def test_a_metric_that_cannot_be_computed_here_is_said_by_every_command_and_briefly_in_the_table(
    call, tmp_path, monkeypatch
):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "nowhere"))
    photograph(tmp_path / "clean" / "a.png")
    (tmp_path / "s.yaml").write_text(
        "suite: s\ntasks: [noisy]\nmetrics: [psnr, lpips]\nprotocols: [rgb, y]\nclean_inputs: false\n"
        "datasets: [{name: synthetic, options: {clean: clean}}]\n"
    )
    code, _, error = call("run", "s.yaml", "--workers", "0", "--out", "out")
    assert code == 0
    assert error.count("lpips@rgb cannot be computed here") == 1
    assert error.count("left out, because these metrics have no such protocol: lpips@y") == 1
    rows = list(csv.DictReader((tmp_path / "out" / "leaderboard.csv").read_text().splitlines()))
    assert {row["status"] for row in rows} == {"lpips@rgb unavailable"}
    assert "lpips@y" not in rows[0]
    for command in ("validate", "s.yaml"), ("run", "s.yaml", "--dry-run"):
        assert call(*command)[1].count("lpips@rgb cannot be computed here") == 1
    assert "backbone not in" in call("list", "metrics")[1]
    assert "unavailable metric lpips: AlexNet backbone not in" in call("doctor")[1]


def test_weights_that_are_not_there_are_told_by_validate_and_before_a_run(call, tmp_path):
    (tmp_path / "s.yaml").write_text(
        "suite: s\ntasks: [noisy]\nclean_inputs: false\nmetrics: [psnr]\ndatasets: [{name: synthetic, options:"
        " {crop: 32}}]\nrestorers: [identity, {name: airnet, options: {weights: lost.pth}}]\n"
    )
    what = (
        f"s.yaml:6:48: restorers[1].options.weights: {tmp_path}/lost.pth: no such file or folder; correct the path"
    )
    assert call("validate", "s.yaml") == (2, "", f"restorebench: {what}\n")
    code, out, _ = call("run", "s.yaml", "--dry-run")
    assert code == 0 and f"note: {what}" in out
    code, _, told = call("run", "s.yaml", "--limit", "1", "--workers", "0", "--device", "cpu")
    assert code == 3 and told.startswith(f"note: {what}\n")


@pytest.fixture
def small_suite(tmp_path):
    photograph(tmp_path / "images" / "a.png")
    (tmp_path / "s.yaml").write_text(
        "suite: s\ntasks: [noisy]\nclean_inputs: false\nmetrics: [psnr]\n"
        "datasets: [{name: synthetic, options: {clean: images}}]\n"
    )
    return ["s.yaml", "--out", "out", "--workers", "0", "--quiet"]


def names_of_rows(folder):
    rows = list(csv.DictReader((folder / "records.csv").read_text().splitlines()))
    return list(dict.fromkeys((row["restorer"], row["tell"]) for row in rows))


@pytest.mark.parametrize(
    ("flags", "rows"),
    [
        (["--restorers", "classical:task"], [("classical", "task")]),
        (["--restorers", "identity,classical:task"], [("identity", "nothing"), ("classical", "task")]),
        (["--add", "classical:task"], [("identity", "nothing"), ("classical", "task")]),
        (["--add", "classical:task", "--restorers", "identity"], [("identity", "nothing"), ("classical", "task")]),
    ],
)
def test_an_installed_restorer_that_the_suite_lacks_joins_it(call, tmp_path, small_suite, flags, rows):
    assert call("run", *small_suite, *flags)[0] == 0
    assert names_of_rows(tmp_path / "out") == rows
    assert call("report", "out", "-q")[0] == 0
    assert names_of_rows(tmp_path / "out") == rows


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--restorers", "classcal"],
            "--restorers classcal: neither suite s nor a plugin has a restorer 'classcal'",
        ),
        (["--add", "identity"], "--add identity: suite s has it already"),
        (
            ["--add", "classical:clip-zero-shto"],
            "--add classical:clip-zero-shto: tell: tell is nothing, ",
        ),
        (["--metrics", "pnsr"], "--metrics: no metric called 'pnsr' (nearest: psnr"),
        (["--protocols", "rbg"], "--protocols: no protocol called 'rbg' (nearest: rgb)"),
        (["--restorers", ","], "--restorers: names none; suite s has identity"),
    ],
)
def test_a_wrong_name_in_a_flag_is_one_line_that_names_the_flag(call, small_suite, flags, message):
    code, _, error = call("run", *small_suite, *flags)
    assert (code, error.count("\n")) == (2, 1)
    assert message in error


def test_metrics_protocols_and_the_time_limit_may_be_given_on_the_command_line(call, tmp_path, small_suite):
    flags = ["--metrics", "ssim,psnr", "--protocols", "y,rgb", "--timeout", "7.5"]
    assert call("run", *small_suite, *flags)[0] == 0
    header = (tmp_path / "out" / "records.csv").read_text().splitlines()[0].split(",")
    assert [name for name in header if "@" in name] == ["ssim@y", "psnr@y", "ssim@rgb", "psnr@rgb"]
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["suite"]["limits"]["image_seconds"] == 7.5


def test_the_version_is_printed(call):
    assert call("--version") == (0, "restorebench 0.1.0\n", "")


def test_the_doctor_reports_as_json(call):
    code, out, _ = call("doctor", "--json")
    facts = json.loads(out)
    assert code == 0
    assert facts["versions"]["numpy"] and facts["plugins"] and facts["broken"] == {}


def test_two_folders_may_be_paired_by_a_rule(call, tmp_path):
    photograph(tmp_path / "restored" / "rain-001.png")
    photograph(tmp_path / "clean" / "norain-001.png")
    code, out, _ = call("score", "restored", "clean", "--pairing", "rain100", "--workers", "0")
    assert code == 0
    assert "rain-001" in out
    code, _, error = call("score", "restored", "clean", "--pairing", "stem", "--workers", "0")
    assert code == 2
    code, _, error = call("score", "out", "--pairing", "stem")
    assert (code, error) == (
        2,
        "restorebench: --pairing matches two folders; a run has its pairs already, so leave it out\n",
    )


def test_that_an_optional_detector_is_left_out_is_said_once(call, pairs, tmp_path, monkeypatch):
    monkeypatch.setenv("RESTOREBENCH_HOME", str(tmp_path / "home"))  # where its weights are not
    suite = {
        "suite": "test",
        "tasks": ["noisy"],
        "datasets": [{"name": "paired-folder", "options": {"path": str(pairs)}}],
        "detectors": [{"name": "clip-zero-shot", "optional": True}],
        "clean_inputs": False,
    }
    (tmp_path / "s.yaml").write_text(json.dumps(suite))
    said = [call("run", "s.yaml", "--workers", "0")[2] for _ in range(2)]
    assert ["clip-zero-shot is optional and left out" in text for text in said] == [True, False]
    assert all("clip-zero-shot is optional" in call("run", "s.yaml", "--dry-run")[1] for _ in range(2))
