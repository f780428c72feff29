"""What users install: everything that is needed, nothing that is not, and the suites found inside it."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("benchmark", "plugins", "suites")
START = "plugins/restorebench_compact/train/recipes/start.safetensors"
FILES = ("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "CITATION.cff", ".gitignore")
PLUGINS = sorted(path.parent.name for path in (ROOT / "plugins").glob("*/__init__.py"))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A clean copy, with a file of weights planted where a plugin would keep one."""
    source = tmp_path_factory.mktemp("source")
    for name in SHIPPED:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests" / "packaging", source / "tests")
    for name in FILES:
        shutil.copy(ROOT / name, source / name)
    with (source / ".gitignore").open("a") as ignored:
        ignored.write("*.safetensors\n")
    (source / "plugins" / PLUGINS[0] / "planted.safetensors").touch()
    return source


@pytest.fixture(scope="module")
def wheel(build_wheel, source, tmp_path_factory):
    return build_wheel(source, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def archive(build_sdist, source, tmp_path_factory):
    return build_sdist(source, tmp_path_factory.mktemp("archive"))


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
    assert len(data) > 3 and data - {START.removeprefix("plugins/")} <= names


def test_what_training_begins_with_does_not_travel(names):
    assert (ROOT / START).exists() and START.removeprefix("plugins/") not in names


def test_weights_travel_even_where_git_ignores_them(names):
    assert f"{PLUGINS[0]}/planted.safetensors" in names


def test_nothing_else_lands_in_site_packages(names):
    tops = {name.split("/")[0] for name in names}
    assert tops - {"restorebench", *PLUGINS} == {next(top for top in tops if top.endswith(".dist-info"))}
    assert not [name for name in names if "/tests/" in name or "/test_" in name or name.endswith(".pyc")]


def test_a_wheel_from_the_source_archive_holds_the_same(wheel, archive, build_wheel, tmp_path):
    with tarfile.open(archive) as sources:
        sources.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    (tmp_path / "wheel").mkdir()
    assert contents(build_wheel(unpacked, tmp_path / "wheel")) == contents(wheel)


def contents(wheel):
    """Return the digest of each file of a wheel, by its name."""
    with zipfile.ZipFile(wheel) as held:
        return {name: hashlib.sha256(held.read(name)).hexdigest() for name in held.namelist()}


def test_the_source_archive_holds_the_documents_and_no_tests(archive):
    with tarfile.open(archive) as sources:
        found = {name.partition("/")[2] for name in sources.getnames()}
    assert {"README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "benchmark/docs/plugins.md"} <= found
    assert not [name for name in found if name.startswith(("tests", "results"))]
    assert START not in found


def test_suites_are_found_inside_the_package(wheel, python, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = "from restorebench.suite.loading import bundled; print(bundled()['quickstart'])"
    answer = python("-P", "-c", code, path=[tmp_path / "site"])
    assert answer.stdout.strip() == str(tmp_path / "site" / "restorebench" / "suites" / "quickstart.yaml")


def test_suites_are_found_in_a_checkout(python):
    code = "from restorebench.suite.loading import bundled; print(bundled()['quickstart'])"
    answer = python("-P", "-c", code, path=[ROOT / "benchmark"])
    assert answer.stdout.strip() == str(ROOT / "suites" / "quickstart.yaml")
