"""Numbers in Markdown files are those of the published boards, and a block that cannot be filled says why."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from restorebench import RestorebenchError
from restorebench.contract.catalog import discover

ROOT = Path(__file__).resolve().parents[2]
BOARD = "results/quickstart/4"
FOLDER = ROOT / BOARD


@pytest.fixture(scope="module")
def generate():
    """The script that writes what documentation takes from elsewhere, as a module."""
    sys.path.insert(0, str(ROOT / "benchmark" / "docs"))
    try:
        import generate

        yield generate
    finally:
        sys.path.remove(str(ROOT / "benchmark" / "docs"))


@pytest.fixture(scope="module")
def boards(generate):
    return generate.Boards(ROOT, discover())


@pytest.fixture
def fill(boards, tmp_path):
    """Fill a page with one block about the board of quickstart, and return the cells of its table, or its text."""

    def filled(asked):
        page = tmp_path / "page.md"
        page.write_text(f"Before\n\n<!-- generated from {BOARD}: {asked} -->\nold\n<!-- end -->\nafter")
        text = boards.filled(page)
        assert text.startswith("Before\n\n<!-- generated from") and text.endswith("\n\n<!-- end -->\nafter")
        assert "old" not in text
        inside = text.split("-->\n\n")[1].split("\n\n<!-- end")[0]
        page.write_text(text)
        assert boards.filled(page) == text
        if not inside.startswith("|"):
            return inside
        head, rule, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in inside.split("\n"))
        assert rule == ["---"] * len(head) and {len(row) for row in rows} == {len(head)}
        return [dict(zip(head, row, strict=True)) for row in rows]

    return filled


def lines(name, **where):
    """Return the lines of a published CSV file, as texts by column."""
    with (FOLDER / f"{name}.csv").open(newline="") as file:
        return [line for line in csv.DictReader(file) if all(line[key] == value for key, value in where.items())]


def name_of(line):
    return line["restorer"] if line["tell"] == "nothing" else f"{line['restorer']}:{line['tell']}"


def test_all_pages_are_up_to_date(generate):
    pages = dict(generate.generated(ROOT))
    assert {"README.md", "cli.md", "compact.md", "compact-controller.md"} <= {path.name for path in pages}
    assert [str(path) for path, text in pages.items() if path.read_text(encoding="utf-8") != text] == []


def test_scores_are_those_of_the_leaderboard(fill):
    table = fill("scores psnr@rgb")
    published = {(line["task"], name_of(line)): line for line in lines("leaderboard")}
    assert {(row["task"], name) for row in table for name in row if name != "task"} == set(published)
    for row in table:
        for name in row.keys() - {"task"}:
            line = published[row["task"], name]
            best = line["rank_low"] == "1"  # psnr@rgb is what ranks
            assert row[name] == ("\\*" if best else "") + f"{float(line['psnr@rgb']):.2f}"
    averages = [published["average", name] for name in table[0] if name != "task"]
    order = ["blind", "told"]
    keys = [(order.index(a["family"]), -float(a["best_in"] or 0), -float(a["gain"])) for a in averages]
    assert keys == sorted(keys)
    assert float(fill("scores ssim")[0]["identity"].strip("\\*")) < 1


def test_the_row_of_a_method_is_that_of_the_leaderboard(fill):
    for row in fill("row airnet-compact"):
        (line,) = lines("leaderboard", task=row["task"], restorer="airnet-compact")
        assert [row["images"], row["scenes"]] == [line["n_images"], line["n_scenes"]]
        assert row["psnr@rgb, dB"] == f"{float(line['psnr@rgb']):.2f}"
        if row["task"] == "clean":
            assert set(list(row.values())[4:]) == {""}
            continue
        assert row["gain, dB"] == f"{float(line['gain']):+.2f}"
        assert row["95 % interval"] == " to ".join(f"{float(line[f'gain_{end}']):+.2f}" for end in ("low", "high"))
        harmed = [float(line[f"harm_{end}"]) for end in ("rate", "low", "high")]
        assert row["images made worse"] == "{:.0%} ({:.0%} to {:.0%})".format(*harmed)
        assert row["rank"] == " to ".join(dict.fromkeys([line["rank_low"], line["rank_high"]]))


def test_the_table_of_a_detector_is_that_of_detectors_csv(fill):
    table = fill("detector daclip-compact")
    assert [row["task"] for row in table] == [line["task"] for line in lines("detectors")]
    names = {"top1": "top1", "named rightly": "accuracy", "abstained": "abstained", "false alarms": "false_alarm"}
    for row, line in zip(table, lines("detectors"), strict=True):
        assert [row["images"], row["scenes"]] == [line["images"], line["n_scenes"]]
        for shown, column in names.items():
            assert row[shown] == (f"{float(line[column]):.1%}" if line[column] else "")
        ends = (float(line[f"accuracy_{end}"]) for end in ("low", "high"))
        assert row["95 % interval"] == " to ".join(f"{end:.0%}" for end in ends)


def test_the_sentence_counts_the_pairs_that_are_separated(fill):
    pairs = lines("comparisons", a="classical:daclip-compact", b="identity", column="psnr@rgb")
    pairs = [pair for pair in pairs if pair["family"].endswith(" against identity")]
    (average,) = (pair for pair in pairs if pair["task"] == "average")
    tasks = [pair for pair in pairs if pair["task"] != "average"]
    separated = [float(pair["difference"]) > 0 for pair in tasks if pair["separated"] == "True"]
    values = "{:+.2f} dB ({:+.2f} to {:+.2f})".format(*(float(average[n]) for n in ("difference", "low", "high")))
    assert fill("against-identity classical:daclip-compact") == (
        f"`classical:daclip-compact: better on {separated.count(True)}, worse on {separated.count(False)}"
        f" of {len(tasks)} tasks; average {values}`"
    )


def test_means_are_those_of_the_leaderboard(fill):
    values = {name_of(line): float(line["ssim@rgb"]) for line in lines("leaderboard", task="average")}
    identity, classical = (f"`{name}` {values[name]:.4f}" for name in ("identity", "classical:task"))
    found = fill("means ssim@rgb average identity classical:task")
    assert found == f"ssim@rgb on `average`: {identity}, {classical}."


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ("scores lpips", r"no column 'lpips'; it has psnr@rgb"),
        ("scores", r"is not `<!-- generated from"),
        ("scores psnr@rgb ssim@rgb", r"scores takes one name"),
        ("scroes psnr@rgb", r"no kind 'scroes' \(nearest: scores\); there are"),
        ("row airnet", r"no row 'airnet' \(nearest: airnet-compact\); it has"),
        ("detector statistics", r"no detector 'statistics'.*; it has daclip-compact"),
        ("against-identity identity", r"no row 'identity' is compared with identity; it has"),
        ("means psnr@rgb average", r"means takes COLUMN TASK ROW\.\.\."),
        ("means psnr@rgb foggy identity", r"row identity has no task 'foggy'.*; it has motion-blurry"),
        ("row 'airnet", r"No closing quotation"),
    ],
)
def test_what_a_board_does_not_have_is_one_line_with_file_and_block(asked, reason, fill):
    with pytest.raises(RestorebenchError, match=reason) as raised:
        fill(asked)
    assert re.match(rf".*page\.md: block `<!-- generated from {BOARD}: .*`: ", str(raised.value))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{head}\ntext\n", "does not end"),
        ("{head}\n{head}\n<!-- end -->\n", "does not end"),
        ("  {head}\n<!-- end -->\n", "does not end; put `<!-- end -->` below it, as far to the right"),
        ("<!-- generated -->\n<!-- end -->\n", "is not `<!-- generated from"),
        ("<!-- generated from ../quickstart/4: row identity -->\n<!-- end -->\n", "not of the form results/SUITE"),
    ],
)
def test_a_malformed_block_is_refused(text, reason, boards, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(text.format(head=f"<!-- generated from {BOARD}: row identity -->"))
    with pytest.raises(RestorebenchError, match=re.escape(reason)):
        boards.filled(page)


def test_blocks_in_a_list_stay_in_it(boards, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"* item\n\n  <!-- generated from {BOARD}: means psnr average identity -->\n  <!-- end -->\n")
    assert "\n\n  psnr@rgb on `average`: `identity` 17.48 dB.\n\n  <!-- end -->\n" in boards.filled(page)


@pytest.fixture
def repository(tmp_path):
    """A repository with the suites, and a README with a block about a board that is not published."""
    shutil.copytree(ROOT / "suites", tmp_path / "suites")
    head = f"<!-- generated from {BOARD}: means psnr@rgb average identity -->"
    (tmp_path / "README.md").write_text(f"{head}\n<!-- end -->\n")
    return tmp_path


def test_a_board_that_is_not_published_yet_is_waited_for(generate, repository):
    page = repository / "README.md"
    waiting = generate.Boards(repository, discover()).filled(page)
    assert f"*{BOARD} is not published yet.*" in waiting
    page.write_text(waiting)
    assert generate.Boards(repository, discover()).filled(page) == waiting
    shutil.copytree(FOLDER, repository / BOARD)
    assert "`identity` 17.48 dB" in generate.Boards(repository, discover()).filled(page)


@pytest.mark.parametrize(
    ("named", "reason"),
    [("quickstart/3", "quickstart.yaml has version 4"), ("quikstart/4", "quikstart.yaml is not in suites")],
)
def test_a_board_that_no_suite_will_give_is_refused(generate, repository, named, reason):
    page = repository / "README.md"
    page.write_text(page.read_text().replace("quickstart/4", named))
    with pytest.raises(RestorebenchError, match=rf"results/{named} does not exist, and {reason}; correct"):
        generate.Boards(repository, discover()).filled(page)


def test_a_board_that_was_changed_by_hand_is_not_quoted(generate, repository):
    shutil.copytree(FOLDER, repository / BOARD)
    table = repository / BOARD / "leaderboard.csv"
    table.write_text(table.read_text().replace("17.48", "19.48"))
    with pytest.raises(RestorebenchError, match=r"README.md: block .*leaderboard.csv is not what its checksum"):
        generate.Boards(repository, discover()).filled(repository / "README.md")


def test_the_script_says_what_is_out_of_date(repository):
    """The script works on the repository that it lies in."""
    docs = repository / "benchmark" / "docs"
    docs.mkdir(parents=True)
    for path in (ROOT / "benchmark" / "docs").glob("*.py"):
        shutil.copy(path, docs)
    run = [sys.executable, str(docs / "generate.py")]
    answer = subprocess.run([*run, "--check"], capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    listed = "benchmark/docs/cli.md, benchmark/docs/suite-keys.md, README.md"
    assert answer.stderr == f"out of date: {listed}; run python benchmark/docs/generate.py\n"
    assert subprocess.run(run, check=False).returncode == 0
    assert subprocess.run([*run, "--check"], check=False).returncode == 0
