"""What a guest may reach: what the user names, and never the data, the run, or what lies elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from restorebench.guest import confinement
from restorebench.guest.surroundings import KEPT, kept, reach

pytestmark = pytest.mark.skipif(bool(confinement.available()), reason="this kernel has no Landlock")

THIEF = '''
from pathlib import Path
from pydantic import BaseModel, model_validator
from restorebench import RestorerInfo, hookimpl

IMAGES = {images!r}

class Options(BaseModel):
    """Names images that the user has not named: by a default, and by what a check writes."""

    beside: str = IMAGES
    written: str = ""

    @model_validator(mode="after")
    def write(self):
        object.__setattr__(self, "written", IMAGES)
        return self

class Thief:
    def restore(self, batch):
        found = []
        for path in Path(IMAGES).glob("*"):
            try:
                found.append(path.read_bytes())
            except OSError:
                pass
        return batch.degraded * 0 if found else batch.degraded.clone()

@hookimpl
def restorebench_restorers():
    load = lambda options, runtime: Thief()
    return [RestorerInfo(name="thief", version="1", summary="Reads.", load=load, options=Options)]
'''


def covered(allowed, path):
    """Whether a path is in what may be read or written."""
    return any(path.is_relative_to(each) for each in (*allowed.readable, *allowed.writable))


def test_a_method_cannot_open_the_clean_images_by_naming_them_itself(run, pairs, tmp_path):
    (tmp_path / "thief.py").write_text(THIEF.format(images=str(pairs / "noisy" / "GT")))
    result, _ = run(["thief", "identity"], plugins=[tmp_path / "thief.py"])
    scores = result.tables.records.set_index(["restorer", "sample"])["psnr@rgb"]
    assert scores["thief"].equals(scores["identity"])


def test_what_the_user_names_beside_the_images_can_be_read_and_nothing_else_there(tmp_path):
    (tmp_path / "data" / "clean").mkdir(parents=True)
    for name in ("weights.pth", "other.pth"):
        (tmp_path / "data" / name).touch()
    named, secret = [str(tmp_path / "data" / "weights.pth")], [tmp_path / "data"]
    allowed = reach("file:/none.py", named, tmp_path / "cache", tmp_path / "scratch", secret)
    assert covered(allowed, tmp_path / "data" / "weights.pth")
    assert not covered(allowed, tmp_path / "data" / "other.pth")
    assert not covered(allowed, tmp_path / "data" / "clean")


def test_data_in_a_download_folder_can_be_neither_read_nor_written(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "new" / "torch"))
    (tmp_path / "hub" / "datasets--x" / "images").mkdir(parents=True)
    (tmp_path / "hub" / "models--y").mkdir()
    secret = [tmp_path / "hub" / "datasets--x" / "images"]
    allowed = reach("file:/none.py", (), tmp_path / "cache", tmp_path / "scratch", secret)
    assert not covered(allowed, secret[0])
    assert covered(allowed, tmp_path / "hub" / "models--y")
    assert tmp_path / "new" / "torch" in allowed.writable and (tmp_path / "new" / "torch").is_dir()


def test_a_link_opens_nothing_that_is_hidden_elsewhere(tmp_path):
    (tmp_path / "packages" / "data").mkdir(parents=True)
    (tmp_path / "secret").mkdir()
    (tmp_path / "packages" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "packages" / "module.py").touch()
    found, divided = confinement.without(
        tmp_path / "packages", [tmp_path / "packages" / "data", tmp_path / "secret"]
    )
    assert found == [tmp_path / "packages" / "module.py"] and divided == [tmp_path / "packages"]


def test_modules_in_a_folder_of_data_on_the_path_can_be_imported_and_its_images_not_read(tmp_path, monkeypatch):
    (tmp_path / "package").mkdir()
    for name in ("package/__init__.py", "helper.py", "image.png"):
        (tmp_path / name).touch()
    monkeypatch.syspath_prepend(tmp_path)
    allowed = reach("file:/none.py", (), tmp_path / "c", tmp_path / "scratch", [tmp_path])
    assert covered(allowed, tmp_path / "helper.py") and covered(allowed, tmp_path / "package" / "__init__.py")
    assert not covered(allowed, tmp_path / "image.png")


def test_a_name_that_is_no_text_is_left_out(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    odd = Path(str(folder) + "/\udce9.pth")
    odd.touch()
    (folder / "hidden").mkdir()
    allowed = reach("file:/none.py", [str(folder)], tmp_path / "c", tmp_path / "s", [folder / "hidden"])
    assert odd not in allowed.readable and all(str(path).encode() for path in allowed.readable)


@pytest.mark.parametrize("name", ["PYTHONNOUSERSITE", "ROCR_VISIBLE_DEVICES", "CONDA_PREFIX", "OMP_NUM_THREADS"])
def test_variables_of_interpreter_and_devices_are_kept_and_others_not(name, monkeypatch):
    monkeypatch.delenv("RESTOREBENCH_CONFINED", raising=False)
    assert kept({name: "1", "MY_PASSWORD": "x"}) == {name: "1"}
    assert "*" not in KEPT
