"""Tiny published folders of one suite, made in this process, once for all tests; and a way to make others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import restorebench
from restorebench.publishing.layout import CHECKSUMS, MANIFEST, checksums
from restorebench.publishing.publish import publish
from restorebench.suite.settings import Settings

SCALING = Path(__file__).parents[1] / "plugins" / "scaling.py"
HERE = Settings(workers=0, device="cpu")
WITH_PLUGIN = Settings(workers=0, device="cpu", plugins=(SCALING,))
SCALED = "{name: scaling, options: {factor: '${data}/0.9'}}"
SUITE = """
suite: tiny
version: "1"
tasks: [noisy]
datasets: [{name: synthetic, options: {clean: embedded, crop: 32, severities: [3]}}]
metrics: [psnr]
clean_inputs: false
save: all
"""


class Folders:
    """Published folders by name, and runs that become ones. data: the folder of `${data}`."""

    def __init__(self, root):
        self.root = root
        self.data = root / "data"
        self._made = {}

    def made(self, name, restorers, limit=None, plugin=SCALING, **keys):
        """Publish a run of the tiny suite once, and return its folder. restorers: YAML; keys: of the suite."""
        if name not in self._made:
            here = self.root / name
            here.mkdir()
            self.data.mkdir(exist_ok=True)
            for factor in ("0.8", "0.9"):
                (self.data / factor).write_text(factor)
            lines = [line for line in SUITE.splitlines() if line.partition(":")[0] not in keys]
            lines += [f"{key}: {value}" for key, value in {**keys, "restorers": restorers}.items()]
            (here / "tiny.yaml").write_text("\n".join(lines))
            out = here / "run"
            suite = str(here / "tiny.yaml")
            restorebench.run(suite, out=out, data=self.data, workers=0, device="cpu", plugins=plugin, limit=limit)
            done = publish(out, here / "results", incomplete=limit is not None, plugins=[plugin])
            self._made[name] = done.folder
        return self._made[name]


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """A maker of published folders that no test may change."""
    return Folders(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="session")
def identity(folders):
    """A folder with one row."""
    return folders.made("identity", "[identity]")


@pytest.fixture(scope="session")
def scaled(folders):
    """A folder with `identity` and a row of a plugin that is a file."""
    return folders.made("scaled", f"[identity, {SCALED}]")


@pytest.fixture
def changed(tmp_path):
    """Copy a folder, let a function change the copy, write its checksums anew, and return it."""

    def carry_out(folder, change, with_checksums=True):
        copy = tmp_path / f"changed-{len(list(tmp_path.iterdir()))}" / "1"
        shutil.copytree(folder, copy)
        change(copy)
        if with_checksums:
            (copy / CHECKSUMS).write_text(checksums(copy))
        return copy

    return carry_out


def with_manifest(change):
    """Return a change of a folder that changes its manifest, which is given as data."""

    def carry_out(folder):
        about = json.loads((folder / MANIFEST).read_text())
        about = change(about) or about
        (folder / MANIFEST).write_text(json.dumps(about))

    return carry_out
