"""No code comes from data: none is unpickled, evaluated or downloaded, and no plugin is found by where it lies."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from restorebench import runner
from restorebench.contract.catalog import discover
from restorebench.contract.errors import RunFolderError

ROOT = Path(__file__).resolve().parents[3]
SOURCES = sorted([*(ROOT / "benchmark" / "restorebench").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")])

FORBIDDEN = {
    "eval", "exec", "compile", "__import__", "execfile", "os.system", "os.popen", "runpy.run_path",
    "pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.load", "marshal.loads", "shelve.open", "dill.load",
    "joblib.load", "cloudpickle.load", "cloudpickle.loads", "pandas.read_pickle", "pd.read_pickle",
    "yaml.load", "yaml.full_load", "yaml.unsafe_load", "yaml.load_all",
    "torch.jit.load", "torch.hub.load", "torch.hub.load_state_dict_from_url", "torch.package.PackageImporter",
    "torch.utils.cpp_extension.load", "torch.serialization.load", "torch.export.load", "model_zoo.load_url",
    "urlopen", "urllib.request.urlopen", "urllib.request.urlretrieve", "requests.get", "httpx.get",
    "shutil.unpack_archive", "importlib.util.spec_from_file_location", "spec_from_file_location",
}  # fmt: skip
METHODS = {"extract", "extractall", "read_pickle", "spec_from_file_location", "source_to_code"}
ALLOWED = {
    # The one door for plugin files, and only those that a user names.
    ("code.py", "exec"), ("code.py", "importlib.util.spec_from_file_location"),
    ("code.py", ".source_to_code"),
    # An unpickler that finds no class but a tensor's; tests/plugins/diffbir/test_checkpoint.py plants code in it.
    ("convert.py", "torch.load without weights_only=True"), ("convert.py", "a subclass of pickle.Unpickler"),
}  # fmt: skip


def faults_of(tree: ast.AST) -> Iterator[str]:
    """Name whatever in a module could run code that came as data."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield from (f"a subclass of {ast.unparse(b)}" for b in node.bases if "Unpickler" in ast.unparse(b))
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if name in FORBIDDEN:
            yield name
        if isinstance(node.func, ast.Attribute) and node.func.attr in METHODS and name not in FORBIDDEN:
            yield f".{node.func.attr}"
        if name == "torch.load" and given.get("weights_only") != "True":
            yield "torch.load without weights_only=True"
        if name in {"np.load", "numpy.load"} and given.get("allow_pickle") != "False":
            yield "np.load without allow_pickle=False"
        if given.get("trust_remote_code", "False") != "False":
            yield "trust_remote_code"
        if given.get("shell", "False") != "False":
            yield "shell"


def test_no_module_runs_code_that_came_as_data():
    found = {
        (path.name, fault): path.relative_to(ROOT)
        for path in SOURCES
        for fault in faults_of(ast.parse(path.read_text()))
    }
    assert len(SOURCES) > 250
    assert {key: str(place) for key, place in found.items() if key not in ALLOWED} == {}
    assert set(found) >= ALLOWED, "an exception that nothing needs any more"


@pytest.mark.parametrize(
    "line",
    [
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "eval(text)",
        "pickle.load(file)",
        "yaml.load(text, Loader)",
        "tar.extractall()",
        "torch.hub.load('a', 'b')",
        "AutoModel.from_pretrained('x', trust_remote_code=True)",
        "subprocess.run(text, shell=True)",
        "class Mine(pickle.Unpickler): ...",
    ],
)
def test_the_search_would_find_it(line):
    assert list(faults_of(ast.parse(line)))


def test_networks_from_folders_come_from_safetensors_alone():
    """diffusers and transformers, which are not always installed, would fall back on pickles."""
    calls = [
        ast.unparse(node)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".from_pretrained")
    ]
    weighty = [call for call in calls if "Processor" not in call and "**how" not in call]
    assert calls and all("use_safetensors=True" in call for call in weighty)
    backbones = (ROOT / "plugins" / "restorebench_textualdegrem" / "backbones.py").read_text()
    assert backbones.count("_pretrained(kind, folder, output_loading_info=True, use_safetensors=True)") == 1


PLUGIN = """
import os
from pathlib import Path
Path(os.environ["RESTOREBENCH_TEST_MARK"]).touch()
from restorebench import RestorerInfo, hookimpl

class Same:
    def __init__(self, options, runtime): ...
    def restore(self, batch): return batch.degraded.clone()

@hookimpl
def restorebench_restorers():
    return [RestorerInfo(name="planted", version="1", summary="Planted.", load=Same)]
"""
SUITE = """
suite: planted
tasks: [noisy]
datasets: [{name: paired-folder, options: {path: pairs}}]
restorers: [identity]
metrics: [psnr]
clean_inputs: false
"""


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """A plugin file that leaves a mark where it is imported."""
    monkeypatch.setenv("RESTOREBENCH_TEST_MARK", str(tmp_path / "mark"))
    monkeypatch.setenv("RESTOREBENCH_CONFINED", "0")  # or it could not write there
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN)
    return path


def test_the_plugin_would_leave_its_mark(planted, tmp_path):
    discover((planted,))
    assert (tmp_path / "mark").exists()


@pytest.mark.faults
def test_a_run_folder_brings_no_plugin_along(planted, run, tmp_path, call):
    """A run folder may be a stranger's: the plugins that it names are imported for those who name them too."""
    run(["planted"], plugins=[planted], save="all", settings={"workers": 0})
    (tmp_path / "mark").unlink()
    for command in (["report", "run"], ["score", "run", "--workers", "0"]):
        code, _, told = call(*command)
        assert code == 2
        assert f"whose code runs only if you give them yourself: --plugin {planted}" in told
        assert not (tmp_path / "mark").exists()
        code, _, told = call(*command, "--plugin", planted)
        assert (code, told) == (0, "")
        assert (tmp_path / "mark").exists()
        (tmp_path / "mark").unlink()


def test_a_plugin_file_that_moved_is_known_again(planted, run, tmp_path):
    run(["planted"], plugins=[planted], settings={"workers": 0})
    (tmp_path / "elsewhere").mkdir()
    moved = planted.rename(tmp_path / "elsewhere" / "mine.py")
    assert runner.report_again(tmp_path / "run", [moved]).failed == 0
    with pytest.raises(RunFolderError, match="whose code runs only if you give them"):
        runner.report_again(tmp_path / "run", [tmp_path / "other.py"])


@pytest.mark.faults
@pytest.mark.slow
@pytest.mark.parametrize("how", ["module", "command"])
def test_nothing_in_the_working_folder_or_beside_the_suite_is_imported(planted, pairs, tmp_path, observe, how):
    """Not as a plugin by its name or by an entry point, and not in place of a library."""
    here = pairs.parent
    (here / "suite.yaml").write_text(SUITE)
    for name in ("torch.py", "numpy.py", "yaml.py", "random.py", "restorebench_mine.py", "sitecustomize.py"):
        (here / name).write_text(PLUGIN)
    (here / "mine-1.dist-info").mkdir()
    (here / "mine-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1\n")
    (here / "mine-1.dist-info" / "entry_points.txt").write_text("[restorebench]\nmine = restorebench_mine\n")
    start = (
        [sys.executable, "-m", "restorebench"]
        if how == "module"
        else [Path(sys.executable).parent / "restorebench"]
    )
    answer = subprocess.run(
        [*start, "run", "suite.yaml", "--out", "out", "--quiet"],
        cwd=here, env={**os.environ, "PYTHONPATH": ""}, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    observe(f"exit {answer.returncode}", f"ran; nothing was imported: {not (tmp_path / 'mark').exists()}")
    assert answer.returncode == 0, answer.stderr
    assert not (tmp_path / "mark").exists()
