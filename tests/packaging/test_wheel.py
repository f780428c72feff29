"""What users install: everything that is needed, nothing that is not, and the suites found inside it."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("benchmark", "plugins", "suites")
FILES = ("pyproject.toml", "README.md", "LICENSE", "CITATION.cff", ".gitignore")
PLUGINS = sorted(path.parent.name for path in (ROOT / "plugins").glob("*/__init__.py"))


@pytest.fixture(scope="module")
def wheel(build_wheel, tmp_path_factory):
    """A wheel of a clean copy, with a file of weights planted where a plugin would keep one."""
    source = tmp_path_factory.mktemp("source")
    for name in SHIPPED:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests" / "packaging", source / "tests")
    for name in FILES:
        shutil.copy(ROOT / name, source / name)
    with (source / ".gitignore").open("a") as ignored:
        ignored.write("*.safetensors\n")
    (source / "plugins" / PLUGINS[0] / "planted.safetensors").touch()
    return build_wheel(source, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def names(wheel):
    return set(zipfile.ZipFile(wheel).namelist())


@pytest.mark.parametrize(
    "name", ["suites/quickstart.yaml", "CITATION.cff", "py.typed", "worker/__main__.py", "testing/__init__.py"]
)
def test_the_host_is_complete(names, name):
    assert f"restorebench/{name}" in names


@pytest.mark.parametrize("plugin", PLUGINS)
def test_every_plugin_is_a_top_level_package(names, plugin):
    assert f"{plugin}/__init__.py" in names


def test_every_bundled_suite_travels(names):
    assert {f"restorebench/suites/{path.name}" for path in (ROOT / "suites").glob("*.yaml")} <= names


def test_templates_and_assets_of_sites_travel(names):
    folder = ROOT / "benchmark"
    files = [path for name in ("templates", "assets") for path in (folder / "restorebench/site" / name).iterdir()]
    assert len(files) > 10
    assert {str(path.relative_to(folder)) for path in files} <= names


def test_data_files_of_plugins_travel(names):
    folder = ROOT / "plugins"
    data = {str(path.relative_to(folder)) for end in ("npz", "safetensors") for path in folder.rglob(f"*.{end}")}
    assert data <= names


def test_weights_travel_even_where_git_ignores_them(names):
    assert f"{PLUGINS[0]}/planted.safetensors" in names


def test_nothing_else_lands_in_site_packages(names):
    tops = {name.split("/")[0] for name in names}
    assert tops - {"restorebench", *PLUGINS} == {next(top for top in tops if top.endswith(".dist-info"))}
    assert not [name for name in names if "/tests/" in name or "/test_" in name or name.endswith(".pyc")]


def test_suites_are_found_inside_the_package(wheel, python, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = "from restorebench.suite.loading import bundled; print(bundled()['quickstart'])"
    answer = python("-P", "-c", code, path=[tmp_path / "site"])
    assert answer.stdout.strip() == str(tmp_path / "site" / "restorebench" / "suites" / "quickstart.yaml")


def test_suites_are_found_in_a_checkout(python):
    code = "from restorebench.suite.loading import bundled; print(bundled()['quickstart'])"
    answer = python("-P", "-c", code, path=[ROOT / "benchmark"])
    assert answer.stdout.strip() == str(ROOT / "suites" / "quickstart.yaml")
