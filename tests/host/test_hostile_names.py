"""Names of samples come from data and may hold anything: they travel through every file and stay what they are."""

from __future__ import annotations

import csv
import importlib.util
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from restorebench.contract.errors import RestorebenchError
from restorebench.journal.layout import triple_name
from restorebench.toolbox.cells import csv_text, guarded, unguarded, visible

LABEL = '=HYPERLINK("http://x")|<script>\u202e'
_SPEC = importlib.util.spec_from_file_location("strange", Path(__file__).parent / "plugins" / "strange.py")
strange = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(strange)

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20) | st.text("=+-@'\t\r\n\",a\0\uff1d\uff20", max_size=6)


def cells(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@given(st.lists(st.lists(TEXTS, min_size=2, max_size=2), max_size=4))
def test_any_text_comes_back_from_a_csv_file_and_none_is_a_formula(rows):
    text = csv_text([list(map(guarded, row)) for row in rows])
    read = list(csv.reader(iter(re.split("(?<=\n)", text)[:-1])))
    assert [list(map(unguarded, row)) for row in read] == rows
    formulas = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
    assert all(not cell.startswith(formulas) for row in read for cell in row)


@given(st.text(max_size=20))
def test_what_is_shown_drives_no_terminal_and_turns_no_line_around(text):
    assert visible(text).isprintable()
    assert visible(text) == text or not text.isprintable()


@pytest.fixture
def strange_run(run, tmp_path):
    result, _ = run(
        ["identity", {"name": "fails-on-bright", "label": LABEL}, "raises"],
        plugins=("strange.py", "faulty.py"),
        datasets=[{"name": "strange", "label": '-data,\n"set"'}],
        save="all",
        samples=len(strange.IDS),
        settings={"workers": 0},
    )
    return result, tmp_path / "run"


@pytest.mark.faults
def test_strange_ids_travel_through_journal_and_tables(strange_run, observe):
    """50 ids: paths that climb, 4,000 characters, quotes, commas, line ends, formulas, escapes, right-to-left."""
    result, folder = strange_run
    assert set(result.tables.records["sample"]) == set(strange.IDS)
    for name in ("records.csv", "failures.csv"):
        rows = cells(folder / name)
        assert {unguarded(row["sample"]) for row in rows} == set(strange.IDS)
        assert all(not cell.startswith(("=", "+", "@", "\t")) for row in rows for cell in row.values())
    assert {unguarded(row["dataset"]) for row in cells(folder / "records.csv")} == {'-data,\n"set"'}
    assert LABEL in {unguarded(row["restorer"]) for row in cells(folder / "leaderboard.csv")}
    observe("run and read back", f"{len(strange.IDS)} ids in records.csv and failures.csv, none a formula")


@pytest.mark.faults
def test_strange_ids_stay_inside_the_run_folder(strange_run, tmp_path, observe):
    _, folder = strange_run
    inside = [path for path in folder.rglob("*") if path.is_file()]
    images = [path for path in inside if path.suffix == ".png"]
    assert len([path for path in images if "outputs" in path.parts]) == 2 * len(strange.IDS)
    assert len([path for path in images if "samples" in path.parts]) == 4 * len(strange.IDS)
    assert {path.name for path in tmp_path.iterdir()} == {"pairs", "run"}
    assert all(path.name.isascii() and path.name.isprintable() for path in inside)
    observe("saved", f"{len(images)} images, all below the run folder, in names of letters and digits")


@pytest.mark.faults
def test_markdown_lets_no_markup_through(strange_run, observe):
    _, folder = strange_run
    text = (folder / "leaderboard.md").read_text()
    assert "<script>" not in text and "\u202e" not in text and "http://" not in text
    assert "&lt;script&gt;\\\\u202e" in text
    observe("leaderboard.md", next(line for line in text.splitlines() if "script" in line))


@pytest.mark.faults
def test_an_id_that_is_no_text_is_one_line(run):
    with pytest.raises(RestorebenchError, match=r"sample 'caf\\udce9' is not UTF-8; rename") as caught:
        run(["identity"], plugins=("strange.py",), datasets=[{"name": "no-text"}])
    assert "\n" not in str(caught.value)


def files_called(folder: Path, *names: bytes) -> None:
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        Image.new("RGB", (16, 16), (9, 99, number * 9)).save(folder / "made.png")
        (folder / "made.png").rename(os.fsdecode(os.fsencode(folder) + b"/" + name + b".png"))


@pytest.mark.faults
@pytest.mark.parametrize(
    "command",
    [
        ("restore", "in", "-o", "out", "-m", "identity", "--workers", "0"),
        ("degrade", "in", "-o", "out", "-t", "noisy", "--workers", "0"),
        ("detect", "in", "--csv", "found.csv", "--workers", "0"),
    ],
    ids=lambda command: command[0],
)
def test_a_file_name_that_is_no_text_is_one_line(call, tmp_path, command):
    files_called(tmp_path / "in", b"caf\xe9")
    code, out, told = call(*command)
    assert (code, out) == (2, "")
    assert "caf\\udce9" in told and "is not UTF-8; rename" in told
    assert len(told.splitlines()) == 1


@pytest.mark.faults
def test_commands_on_images_keep_strange_file_names(call, tmp_path):
    names = [b"=1+1", b"new\nline", b"cr\rlf", b"\x1b[31mred", b"l" * 245, b"a'b\"c,d", "\u202ex".encode(), b" x "]
    files_called(tmp_path / "in", *names)
    code, _, told = call("restore", "in", "-o", "out", "-m", "identity", "--workers", "0")
    assert code == 0, told
    wanted = {os.fsdecode(name) for name in names}
    assert {path.stem for path in (tmp_path / "out").iterdir()} == wanted
    code, out, told = call("score", "out", "in", "--csv", "scores.csv", "--workers", "0")
    assert code == 0, told
    assert {unguarded(row["sample"]) for row in cells(tmp_path / "scores.csv")} == wanted
    code, out, told = call("detect", "in", "--workers", "0")
    assert code == 0, told
    assert "\x1b" not in out and "\u202e" not in out and "\\x1b[31mred" in out
    code, out, told = call("detect", "in", "--csv", "found.csv", "--workers", "0")
    assert {unguarded(row["sample"]) for row in cells(tmp_path / "found.csv")} == wanted


@pytest.mark.faults
@pytest.mark.parametrize("command", ["run --workers 0", "run --dry-run", "validate"])
def test_a_label_in_a_suite_drives_no_terminal(call, pairs, tmp_path, command):
    """YAML writes escapes in letters, so that a suite whose text is harmless may hold them."""
    (tmp_path / "s.yaml").write_text(
        "suite: s\ntasks: [noisy, hazy]\nmetrics: [psnr]\nclean_inputs: false\n"
        'datasets: [{name: paired-folder, label: "d\\e[31m", options: {path: pairs}}]\n'
        'restorers: [{name: identity, label: "r\\e]0;title\\a\\u202e"}]\n'
        'detectors: [{name: statistics, label: "t\\e[2J"}]\n'
    )
    first, *rest = command.split()
    code, out, told = call(first, "s.yaml", *rest)
    assert code == 0, told
    assert not {"\x1b", "\a", "\u202e"} & {*out, *told}
    assert "\\x1b[31m holds no images for hazy" in out + told


def test_the_longest_names_fit_into_a_file_name():
    assert len(triple_name("x" * 4000, "\u5b57" * 300, "z" * 300, "0" * 16)) <= 255
