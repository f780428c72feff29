"""`plot`: figures of a run as files, read from the tables that anybody may publish."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from restorebench import plot
from restorebench.commands import plotting
from restorebench.contract.errors import (
    BrokenPlugin,
    MissingResource,
    RestorebenchError,
    RunFolderError,
    UnknownName,
)
from restorebench.tables.published import read_tables
from tests.publishing import publish

KIND = """
from restorebench import FigureInfo, RestorebenchError, hookimpl
from restorebench.toolbox.options import PluginOptions


class Options(PluginOptions):
    text: str = "none"


class Mine:
    def __init__(self, options, runtime):
        self.options = options

    def draw(self, tables):
        {draw}


@hookimpl
def restorebench_figures():
    return [FigureInfo(name="mine", version="1", summary="Of a test.", load=Mine, options=Options{more})]
"""
DOT = "return {'data': {'values': [{'x': 1, 'text': self.options.text}]}, 'mark': 'point', 'encoding': {}}"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "run"
    publish(folder)
    return folder


@pytest.fixture
def kind(tmp_path):
    """Write a plugin with the figure `mine`, whose `draw` has this body."""

    def write(draw=DOT, more=""):
        path = tmp_path / "mine.py"
        path.write_text(KIND.format(draw=draw, more=more))
        return path

    return write


@pytest.mark.parametrize(
    ("ending", "start"),
    [
        (".svg", b"<svg "),
        (".png", b"\x89PNG"),
        (".pdf", b"%PDF-"),
        (".html", b"<!DOCTYPE html>"),
        (".json", b"{\n"),
    ],
)
def test_the_ending_decides_the_kind_of_file(run, tmp_path, ending, start):
    pytest.importorskip("vl_convert")
    spec = plot("gains", run, tmp_path / f"f{ending}")
    data = (tmp_path / f"f{ending}").read_bytes()
    assert data.startswith(start)
    if ending == ".json":
        assert json.loads(data) == spec
    if ending == ".html":
        assert not re.search(rb"<(script|link)[^>]*(src|href)=", data)  # nothing is fetched


def test_pictures_have_the_width_in_millimetres(run, tmp_path):
    pytest.importorskip("vl_convert")
    from PIL import Image

    for ending in (".png", ".pdf", ".svg"):
        plot("cost", run, tmp_path / f"f{ending}", options={"width": 88})
    with Image.open(tmp_path / "f.png") as image:
        millimetres = {".png": image.width / plotting.PIXELS_PER_INCH * 25.4}
    box = re.search(rb"/MediaBox\s*\[0 0 ([\d.]+)", (tmp_path / "f.pdf").read_bytes())
    millimetres[".pdf"] = float(box[1]) / 72 * 25.4
    millimetres[".svg"] = float(re.search(r'width="([\d.]+)"', (tmp_path / "f.svg").read_text())[1]) / 96 * 25.4
    assert all(84 <= width <= 88.1 for width in millimetres.values()), millimetres


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("f.jpeg", "cannot be written as '.jpeg'; end it in .svg, .png, .pdf, .html, .json"),
        ("figure", "cannot be written as 'a file without ending'"),
        ("nowhere/f.json", "nowhere is not a folder that can be written"),
        ("folder.json", "folder.json is a folder"),
        ("manifest.json", "exists and is no Vega-Lite specification"),
        ("list.json", "exists and is no Vega-Lite specification"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_read(tmp_path, file, message):
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "manifest.json").write_text('{"suite": {}}')
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(RestorebenchError, match=re.escape(message)):
        plot("gains", tmp_path / "no-run", tmp_path / file)
    assert (tmp_path / "manifest.json").read_text() == '{"suite": {}}'


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_named(run, tmp_path):
    tmp_path.chmod(0o555)
    with pytest.raises(RunFolderError, match="is not a folder that can be written"):
        plot("gains", run, tmp_path / "f.json")
    tmp_path.chmod(0o755)


def test_a_specification_replaces_an_earlier_one(run, tmp_path):
    plot("gains", run, tmp_path / "f.json")
    plot("cost", run, tmp_path / "f.json")
    assert "over time" in json.loads((tmp_path / "f.json").read_text())["description"]


def test_without_the_extra_a_line_says_what_to_install_and_json_works(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(
        MissingResource, match=r"\.svg needs the extra report: pip install 'restorebench\[report\]'"
    ):
        plot("gains", run, tmp_path / "f.svg")
    plot("gains", run, tmp_path / "f.json")
    assert not (tmp_path / "f.svg").exists()


@pytest.mark.parametrize(("file", "imported"), [("f.json", set()), ("f.svg", {"vl_convert"})])
def test_only_pictures_import_what_draws_them(run, tmp_path, file, imported):
    pytest.importorskip("vl_convert")
    code = (
        "import sys; from restorebench import plot; plot('radar', *sys.argv[1:])\n"
        "print(*{'altair', 'matplotlib', 'vl_convert'} & set(sys.modules))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", code, str(run), str(tmp_path / file)]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    assert set(answer.stdout.split()) == imported


def test_an_unknown_kind_and_an_unknown_run_are_named(run, tmp_path):
    with pytest.raises(UnknownName, match=r"no figure called 'radr' \(nearest: radar"):
        plot("radr", run)
    with pytest.raises(RunFolderError, match=r"nowhere.manifest.json cannot be read"):
        plot("radar", tmp_path / "nowhere")
    with pytest.raises(UnknownName, match=f"{run.name}: no column 'ssim'"):
        plot("radar", run, options={"metric": "ssim"})


def test_a_plugin_may_add_a_kind_with_options(run, tmp_path, kind):
    spec = plot("mine", run, options={"text": "\x1b[31mred"}, plugins=[kind()])
    assert spec["data"]["values"] == [{"x": 1, "text": "\\x1b[31mred"}]
    with pytest.raises(RestorebenchError, match="options of figure 'mine': txt: Extra inputs"):
        plot("mine", run, options={"txt": "a"}, plugins=[kind()])


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        ("raise ValueError('no')", r"figure 'mine' failed drawing: ValueError: no \(.*mine.py:\d+\)"),
        ("raise RestorebenchError('lacks it')", r"run: lacks it"),
        ("return {'x': float('nan')}", "figure 'mine' drew what JSON cannot hold"),
        ("return {'x': object()}", "figure 'mine' drew what JSON cannot hold"),
        ("return 'text'", "must draw a Vega-Lite specification, got str"),
        ("return {'mark': 'nonsense'}", "figure 'mine' drew what Vega-Lite cannot show: .*TypeError"),
        ("return {'data': {'url': 'http://127.0.0.1:9/x.json'}, 'mark': 'bar'}", "cannot show: .*url not allowed"),
    ],
)
def test_a_kind_that_fails_is_blamed_in_a_line(run, tmp_path, kind, draw, message):
    pytest.importorskip("vl_convert")
    with pytest.raises(RestorebenchError, match=message) as caught:
        plot("mine", run, tmp_path / "f.svg", plugins=[kind(draw)])
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "f.svg").exists()


def test_a_kind_whose_library_is_missing_says_so(run, kind):
    more = ", requires={'no_such_library': \"pip install 'mine[more]'\"}"
    with pytest.raises(MissingResource, match=r"figure 'mine' needs no_such_library: pip install 'mine\[more\]'"):
        plot("mine", run, plugins=[kind(more=more)])


def test_a_broken_plugin_is_named(run, tmp_path):
    (tmp_path / "broken.py").write_text("1 / 0\n")
    with pytest.raises(BrokenPlugin, match=r"broken\.py is broken: ZeroDivisionError"):
        plot("gains", run, plugins=[tmp_path / "broken.py"])


def test_the_tables_read_back_are_those_that_were_written(tmp_path):
    written = publish(tmp_path / "run")
    read = read_tables(tmp_path / "run")
    for name in ("leaderboard", "comparisons"):
        assert getattr(read, name).equals(getattr(written, name)), name
    for name in ("cost", "confusion", "detectors", "labels", "telling"):
        was, now = (getattr(each, name).astype(object).fillna("") for each in (written, read))
        assert list(was.columns) == list(now.columns) and len(was) == len(now)
        for column in was.columns:
            for one, other in zip(was[column], now[column], strict=True):
                assert other == (pytest.approx(one, abs=1e-6) if isinstance(one, float) else one) or str(
                    one
                ) == str(other), (name, column)


@pytest.mark.parametrize("name", ["cost", "confusion"])
def test_a_table_that_was_never_written_has_no_rows_and_a_damaged_one_is_named(tmp_path, name):
    publish(tmp_path / "run")
    path = tmp_path / "run" / f"{name}.csv"
    text = path.read_text()
    path.unlink()
    assert getattr(read_tables(tmp_path / "run"), name).empty
    path.write_text("a,b\n1,2\n")
    with pytest.raises(RunFolderError, match=rf"{name}\.csv has no column 'task'"):
        read_tables(tmp_path / "run")
    column = "seconds_per_megapixel" if name == "cost" else "images"
    head, *rows = text.splitlines()
    position = head.split(",").index(column)
    cells = rows[0].split(",")
    cells[position] = "many"
    path.write_text("\n".join([head, ",".join(cells), *rows[1:]]) + "\n")
    with pytest.raises(RunFolderError, match=rf"{name}\.csv: a number cannot be read"):
        read_tables(tmp_path / "run")


def test_tables_of_detectors_that_the_run_no_longer_has_are_not_shown(tmp_path):
    publish(tmp_path / "run")
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    (tmp_path / "run" / "manifest.json").write_text(json.dumps(manifest | {"detector_cells": []}))
    with pytest.raises(RestorebenchError, match="needs detectors, and the run has none"):
        plot("confusion", tmp_path / "run")


def test_the_command_draws_lists_and_refuses(call, run, tmp_path):
    code, out, error = call("plot", "images", run, "--rows", "good,alike", "--task", "hazy", "-o", "f.json")
    assert (code, out, error) == (0, "f.json\n", "")
    spec = json.loads((tmp_path / "f.json").read_text())
    assert "alike against good" in spec["description"]
    code, out, _ = call("list", "figures", "--json", "-v")
    names = {row["name"]: {option["name"] for option in row["options"]} for row in json.loads(out)}
    assert names["radar"] == {"width", "metric", "rows"}
    assert set(names) == {"radar", "gains", "images", "severity", "cost", "confusion", "reliability"}
    code, _, error = call("plot", "gains", run, "-o", "f.json", "--metric", "psnr", "--option", "metric=ssim")
    assert (code, error) == (2, "restorebench: give --metric or --option metric=..., not both\n")
    code, _, error = call("plot", "gains", run, "-o", "f.txt")
    assert code == 2 and error.count("\n") == 1
    odd = json.dumps(["good", "alike"])
    assert call("plot", "images", run, "-o", "f.json", "--option", f"rows={odd}")[0] == 0
