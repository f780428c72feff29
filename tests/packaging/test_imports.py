"""Commands that only describe start without heavy libraries, and the layers of the host hold.

Each proof of an absence comes with a proof that it would notice a presence.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINT = Path(sys.executable).parent / "lint-imports"
HEAVY = {"torch", "numpy", "pandas", "scipy", "skimage"}

WATCHED = """
import sys
sys.argv = ["restorebench", *sys.argv[1:]]
from restorebench.cli import main
try:
    main()
finally:
    print("imported:", *sys.modules)
"""

CHEAP = [
    ["--help"],
    ["run", "--help"],
    ["plot", "--help"],
    ["schema"],
    *(
        ["list", kind]
        for kind in ("restorers", "degradations", "datasets", "metrics", "figures", "tasks", "suites")
    ),
    ["list", "restorers", "--verbose"],
]


def heavy_imports(python, *arguments):
    answer = python("-c", WATCHED, *arguments)
    assert answer.returncode == 0, answer.stderr
    return HEAVY & set(answer.stdout.rpartition("imported:")[2].split())


@pytest.mark.parametrize("arguments", CHEAP, ids=" ".join)
def test_describing_imports_no_heavy_library(python, arguments):
    assert not heavy_imports(python, *arguments)


def test_guided_restorers_are_listed_with_weights_and_licences_and_without_the_extra(python):
    """Neither what they run on nor what the extra installs is imported to say what they need."""
    answer = python("-c", WATCHED, "list", "restorers", "--verbose", "--json")
    listed, _, imported = answer.stdout.rpartition("imported:")
    assert not (HEAVY | {"diffusers", "transformers"}) & set(imported.split())
    rows = {row["name"]: row for row in json.loads(listed)}
    for name, size, tasks in (
        ("textual-restormer", "240 MB", "motion-blurry, noisy"),
        ("textual-nafnet", "895 MB", "motion-blurry"),
        ("textual-promptir", "278 MB", "hazy, noisy, rainy"),
    ):
        assert rows[name]["tasks"] == tasks
        assert size in rows[name]["weights"]
        assert "9100 MB (CreativeML Open RAIL++-M, MIT)" in rows[name]["weights"]
        assert rows[name]["licence"] == "as the weights say"


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_a_plugin_that_imports_a_heavy_library_is_noticed(python, tmp_path, library):
    plugin = tmp_path / "heavy.py"
    plugin.write_text(
        f"import {library}\nfrom restorebench import hookimpl\n\n"
        "@hookimpl\ndef restorebench_restorers():\n    return []\n"
    )
    script = (
        "import sys; from pathlib import Path; from restorebench import discover; discover([Path(sys.argv[1])])"
    )
    answer = python("-c", f"{script}; print('imported:', *sys.modules)", plugin)
    assert library in answer.stdout.rpartition("imported:")[2].split(), answer.stderr
    assert not heavy_imports(python, "list", "restorers", "--plugin", plugin)  # the driver does not import it


@pytest.fixture
def tree(tmp_path):
    """A copy of the host and its plugins, to plant violations in."""
    for name in ("benchmark/restorebench", "plugins"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(tree):
    path = os.pathsep.join([str(tree / "benchmark"), str(tree / "plugins")])
    environment = {**os.environ, "PYTHONPATH": path}
    command = [str(LINT), "--no-cache"]
    return subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_layers_hold(tree):
    answer = lint(tree)
    assert answer.returncode == 0, answer.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("benchmark/restorebench/cli/__init__.py", "import torch", "Only workers"),
        ("benchmark/restorebench/journal/layout.py", "import torch.nn", "Only workers"),
        ("benchmark/restorebench/contract/errors.py", "import restorebench.plan.plan", "built in layers"),
        ("benchmark/restorebench/plan/plan.py", "import restorebench_metrics", "never imports a plugin"),
        ("plugins/restorebench_reports/as_csv.py", "import restorebench_metrics", "do not know each other"),
        ("plugins/restorebench_reports/as_csv.py", "import restorebench.plan.plan", "training alone"),
    ],
    ids=[
        "torch-in-cli",
        "torch-in-the-host",
        "upward",
        "plugin-in-host",
        "plugin-in-plugin",
        "internals-in-plugin",
    ],
)
def test_a_planted_violation_is_caught(tree, module, line, contract):
    with (tree / module).open("a") as stream:
        stream.write(f"\n{line}\n")
    answer = lint(tree)
    assert answer.returncode == 1
    assert [text for text in answer.stdout.splitlines() if contract in text and "BROKEN" in text], answer.stdout
