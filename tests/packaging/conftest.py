"""Installing without a network, and running Python as a user would: in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest


@pytest.fixture
def python(tmp_path):
    """Run `python ARGUMENTS` in an empty folder; packages in `path` come first, then those of this session.

    Returns what it printed.
    """
    home = tmp_path / "home"
    home.mkdir()

    def run(*arguments, path=(), folder=None):
        paths = [*map(str, path), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "COLUMNS": "160"}
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            env=environment,
            cwd=folder or home,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def build_wheel():
    """Build the wheel of a source folder into another folder, by hatchling itself, and return its path."""

    return partial(_built, "wheel", "*.whl")


@pytest.fixture(scope="session")
def build_sdist():
    """Build the source archive of a source folder into another folder, and return its path."""
    return partial(_built, "sdist", "*.tar.gz")


def _built(kind, pattern, source, target):
    code = f"import sys; from hatchling.build import build_{kind}; build_{kind}(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(target)], cwd=source, check=True, timeout=120)
    (built,) = Path(target).glob(pattern)
    return built


@pytest.fixture(scope="session")
def install(build_wheel, tmp_path_factory):
    """Install a source folder into a folder of its own: by pip, or where there is none by unpacking its wheel."""

    def into_a_folder(source):
        site = tmp_path_factory.mktemp("site")
        if find_spec("pip"):
            offline = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
            command = [sys.executable, "-m", "pip", "install", *offline, "--target", str(site), str(source)]
            subprocess.run(command, check=True, timeout=120)
        else:
            with zipfile.ZipFile(build_wheel(source, tmp_path_factory.mktemp("wheel"))) as wheel:
                wheel.extractall(site)
        return site

    return into_a_folder
