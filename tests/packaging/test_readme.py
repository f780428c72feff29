"""What the README says to type works as it stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from restorebench import plot
from restorebench.contract.catalog import discover
from restorebench.testing import checks
from tests.publishing import publish

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PLUGINS = (ROOT / "benchmark" / "docs" / "plugins.md").read_text(encoding="utf-8")


def blocks(language, page=README):
    """Return the code blocks of a language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", page, flags=re.DOTALL)


def commands(beginning):
    """Return the commands of all shell blocks that begin so, as lists of arguments."""
    lines = "\n".join(blocks("bash")).splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith(f"restorebench {beginning}")]


@pytest.fixture
def folder(tmp_path):
    """A working folder with the files that the README's commands name."""
    here = tmp_path / "here"
    rng = np.random.default_rng(0)
    pair = [f"DIR/real10/noisy/{side}/a.png" for side in ("LQ", "GT")]
    for name in ("CLEAN_DIR/a.jpg", "DIR/a.png", *pair):
        path = here / name
        path.parent.mkdir(parents=True, exist_ok=True)
        smooth = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        PIL.Image.fromarray(smooth).resize((60, 48), PIL.Image.Resampling.BICUBIC).save(path)
    return here


def run(python, folder, *arguments):
    answer = python("-m", "restorebench", *arguments, folder=folder)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def test_photographs_are_degraded_looked_at_restored_and_scored(python, folder):
    """The commands fit together: each reads what the one before it wrote."""
    for name in ("degrade", "detect", "restore", "score"):
        (command,) = commands(name)
        printed = run(python, folder, *command)
        if name == "detect":
            assert "\na " in printed
    assert sorted(path.name for path in (folder / "degraded").iterdir()) == ["a.json", "a.png"]
    assert [path.name for path in (folder / "restored").iterdir()] == ["a.png"]
    assert (folder / "scores.csv").read_text().startswith("sample,psnr@rgb,ssim@rgb,psnr@y,ssim@y\na,")


@pytest.mark.parametrize("suite", ["real10", "ten"])
def test_suites_find_the_data_they_are_pointed_to(python, folder, suite):
    (command,) = commands(f"run {suite}")
    run(python, folder, *command, "--dry-run")


@pytest.mark.parametrize("command", ["restore missing.png -m identity", "degrade missing.png -t noisy"])
def test_a_missing_image_is_named_and_no_option_that_nobody_gave(python, folder, command):
    answer = python("-m", "restorebench", *command.split(), "-o", "out", folder=folder)
    assert answer.returncode == 2
    assert answer.stderr == f"restorebench: {folder}/missing.png: no such file or folder; correct the path\n"


RESTORERS = ["identity", "daclip-compact"]


def test_the_example_in_python_shows_scores(python, tmp_path):
    (source,) = (block for block in blocks("python") if "restorebench.run" in block)
    answer = python(
        "-c", source.replace('tasks=["noisy", "rainy"]', f'tasks="noisy", restorers={RESTORERS}, limit=1')
    )
    assert answer.returncode == 0, answer.stderr
    header, *rows = answer.stdout.splitlines()
    assert header.split() == ["task", "restorer", "tell", "psnr@rgb"]
    noisy = next(row.split() for row in rows if " noisy " in row and " identity " in row)
    assert noisy[1:4] == ["noisy", "identity", "nothing"]
    assert 5 < float(noisy[4]) < 40
    assert "too few scenes" in answer.stdout and "[4 rows x 17 columns]" in answer.stdout


@pytest.fixture
def plugin(tmp_path):
    """The README's plugin, saved under the name it gives."""
    (source,) = (block for block in blocks("python") if "hookimpl" in block)
    path = tmp_path / "median.py"
    path.write_text(source)
    return path


def test_the_plugin_to_paste_runs(python, plugin):
    (command,) = (arguments for arguments in commands("run") if "--plugin" in arguments)
    run(python, plugin.parent, *command, "--dry-run")


def test_the_plugin_to_paste_keeps_the_contract(plugin):
    listed = checks("restorer", "median", catalog=discover([plugin]))
    assert listed
    for check in listed:
        check()


def test_the_test_to_paste_tests_a_plugin_that_is_not_installed(python, plugin):
    (test,) = (block for block in blocks("python", PLUGINS) if "parametrize" in block)
    (plugin.parent / "test_median.py").write_text(test)
    here = {"folder": plugin.parent, "path": [plugin.parent]}
    answer = python("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_median.py", **here)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_the_detector_to_paste_keeps_the_contract(tmp_path):
    (source,) = (block for block in blocks("python", PLUGINS) if "DetectorInfo" in block)
    (tmp_path / "dark.py").write_text(source)
    catalog = discover([tmp_path / "dark.py"])
    assert not catalog.broken
    for check in checks("detector", "dark", catalog=catalog):
        check()


def test_the_figure_to_paste_draws_a_run(tmp_path):
    (source,) = (block for block in blocks("python", PLUGINS) if "FigureInfo" in block)
    (tmp_path / "mine.py").write_text(source)
    for check in checks("figure", "images-per-task", catalog=discover([tmp_path / "mine.py"])):
        check()
    publish(tmp_path / "run", tasks=("hazy",), scenes=4, severities=(1, 3))
    spec = plot("images-per-task", tmp_path / "run", plugins=[tmp_path / "mine.py"])
    assert spec["data"]["values"] == [{"task": "hazy", "images": 8}, {"task": "clean", "images": 8}]


def test_the_map_of_the_host_has_every_module():
    root = Path(__file__).resolve().parents[2] / "benchmark"
    lines = (root / "README.md").read_text().splitlines()
    mapped = {
        name.split("/")[0] for line in lines if line.startswith("|") for name in re.findall("`([^`]+)`", line)
    }
    entries = (path for path in (root / "restorebench").iterdir() if path.name[0] != ".")
    modules = {path.stem for path in entries if not path.name.startswith(("__", "py"))}
    assert modules <= mapped
