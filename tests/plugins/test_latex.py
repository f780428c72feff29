"""The LaTeX report: it compiles whatever the rows are called, and marks no more than the comparisons support."""

from __future__ import annotations

import re
import shutil
import string
import subprocess
from dataclasses import replace

import pytest
from restorebench_reports.as_latex import Latex
from restorebench_reports.latex_text import escaped, stacked
from restorebench_reports.options import LatexOptions

from restorebench.records import Record
from restorebench.tables.board import Board, Column, Family
from restorebench.tables.build import build
from tests.failing import failure
from tests.publishing import LPIPS, PSNR, cell_of, publish, samples_of

COMPILER = shutil.which("pdflatex")
ENGINES = [engine for engine in ("pdflatex", "lualatex", "xelatex") if shutil.which(engine)]
STEPS = {"identity": 0.0, "low": 1.0, "middle": 2.0, "equal": 2.0, "high": 4.0}
HOSTILE = {
    "identity": 0.0,
    "&%$#_{}~^\\": 1.0,
    "[x] * \\input{/etc/passwd}": 2.0,
    "a--b ''c'' <<d>> ,,e,, ?`f": 3.0,
    'quoted "name" | `tick`': 1.5,
    "Größe-naïve-łódź-字-\U0001f600-α": 2.5,
    "\u202eevil\x1b[31m\nnew": 0.5,
    "%" * 40: 0.7,
}


def written(folder, tables, **options):
    """Write the report; return the text of each file by name."""
    folder.mkdir(exist_ok=True)
    files = Latex(LatexOptions(**options), None).write(tables, folder)
    return {path.name: path.read_text(encoding="utf-8") for path in files}


def rows_of(text):
    """Return the cells of every line of the outer table, by the first cell; braces and comments balance."""
    body = text[text.index("\\toprule") : text.rindex("\\bottomrule")]
    body = re.sub(r"\\begin\{tabular\}.*?\\end\{tabular\}", "HEAD", body)
    lines = re.split(r"\\\\(?:\[-0\.4ex\])?\n", body.replace("\\toprule\n", ""))
    cells = [re.split(r"(?<!\\)&", re.sub(r"\\(midrule|addlinespace\[0\.4ex\])\n", "", line)) for line in lines]
    return [[cell.strip() for cell in line] for line in cells if len(line) > 1]


def marks(text):
    """Return, by row and column, `bold`, `underline` or nothing."""
    head, *rows = rows_of(text)
    found = {}
    for row in rows:
        for number, cell in enumerate(row[1:]):
            mark = re.match(r"\\(textbf|underline)\{", cell)
            found[row[0], number] = mark[1] if mark else ""
    return head, found


def compiled(folder, *names, engine="pdflatex"):
    """Compile documents and return the text of the log."""
    logs = []
    for name in names:
        done = subprocess.run(
            [engine, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", name],
            cwd=folder,
            capture_output=True,
            timeout=120,
            check=False,
        )
        log = done.stdout.decode("utf-8", "replace")
        assert done.returncode == 0, log[-2000:]
        logs.append(log)
    return "\n".join(logs)


@pytest.mark.parametrize("options", [{}, {"intervals": True}, {"tasks_down": True, "intervals": True}])
def test_every_line_has_as_many_cells_as_the_table_has_columns(tmp_path, options):
    tables = publish(tmp_path / "run", rows=HOSTILE)
    files = written(tmp_path / "tex", tables, **options)
    assert set(files) == {"leaderboard-psnr_rgb.tex", "leaderboard-lpips_rgb.tex", "leaderboard.tex"}
    for name, text in files.items():
        without = re.sub(r"\\[\\{}%&]", "", text)
        assert without.count("{") == without.count("}"), name
        if name != "leaderboard.tex":
            columns = len(re.search(r"\\begin\{tabular\}\{(l r*|lr*)\}", text)[1])
            assert {len(row) for row in rows_of(text)} == {columns}
            assert columns == 1 + (len(HOSTILE) if options.get("tasks_down") else 5)


@pytest.mark.skipif(not ENGINES, reason="needs pdflatex")
@pytest.mark.parametrize("options", [{}, {"tasks_down": True, "intervals": True}])
@pytest.mark.parametrize("engine", ENGINES)
def test_hostile_names_compile_alone_and_in_a_paper(tmp_path, engine, options):
    tables = publish(tmp_path / "run", rows=HOSTILE)
    written(tmp_path / "tex", tables, **options)
    paper = (
        "\\documentclass[twocolumn]{article}\\usepackage{booktabs}\\begin{document}\n"
        "\\begin{table*}\\tiny\\input{leaderboard-psnr_rgb}\\caption{A.}\\end{table*}\\end{document}\n"
    )
    (tmp_path / "tex" / "paper.tex").write_text(paper)
    log = compiled(tmp_path / "tex", "leaderboard.tex", "paper.tex", engine=engine)
    assert "Missing character" not in log
    if reader := shutil.which("pdftotext"):
        text = subprocess.run(
            [reader, "-layout", "leaderboard.pdf", "-"], cwd=tmp_path / "tex", capture_output=True, check=True
        ).stdout.decode()
        assert "root:" not in text
        assert "\\input{/etc/passwd}" in text.replace(" ", "").replace("\n", "") or options.get("tasks_down")
        assert "U+5B57" in text.replace("\n", "")
        assert options.get("tasks_down") or "a--b" in text


def steps(folder, **more):
    return publish(folder, rows=STEPS, severities=(3,), **more)


def test_bold_is_the_best_group_and_underlined_the_best_without_it(tmp_path):
    tables = steps(tmp_path / "run", columns=(PSNR, LPIPS))
    files = written(tmp_path / "tex", tables)
    for column in (PSNR, LPIPS):
        text = files[f"leaderboard-{column.name.replace('@', '_')}.tex"]
        _, found = marks(text)
        for number, task in enumerate(("rainy", "snowy", "hazy")):
            pairs = tables.comparisons
            here = pairs[(pairs.task == task) & (pairs.column == column.name) & (pairs.family == "blind")]
            sign = 1 if column.higher_is_better else -1
            better = {
                (row["a"], row["b"]) if sign * row["difference"] > 0 else (row["b"], row["a"])
                for row in here.to_dict("records")
                if row["separated"]
            }
            best = {name for name in STEPS if not any(loser == name for _, loser in better)}
            rest = set(STEPS) - best
            second = {
                name for name in rest if not any(loser == name and winner in rest for winner, loser in better)
            }
            assert best and second
            for name in STEPS:
                expected = "textbf" if name in best else "underline" if name in second else ""
                assert found[name, number] == expected, (task, name)
    assert "Underlined: only bold rows of the same family were shown to be better." in files["leaderboard.tex"]


def test_where_nothing_is_compared_nothing_is_marked(tmp_path):
    tables = steps(tmp_path / "run", scenes=4)
    text = written(tmp_path / "tex", tables)["leaderboard-psnr_rgb.tex"]
    assert set(marks(text)[1].values()) == {""}
    assert "No rows are compared." in text and "Bold" not in text


def test_rows_told_the_task_and_yardsticks_stand_apart(tmp_path):
    rows = {"identity": 0, "good": 3, "good:task": 4, "seeing": 9}
    tables = publish(tmp_path / "run", rows=rows, yardsticks=("seeing",))
    text = written(tmp_path / "tex", tables)["leaderboard-psnr_rgb.tex"]
    parts = text[text.index("\\toprule") :].split("\\midrule")
    assert len(parts) == 4
    assert "good &" in parts[1] and "good:task &" in parts[2] and "\\textit{seeing} &" in parts[3]
    down = written(tmp_path / "tex", tables, tasks_down=True)["leaderboard-psnr_rgb.tex"]
    assert "\\textit{seeing}" in down and "seeing (yardsticks" in down


def test_intervals_are_those_of_the_leaderboard(tmp_path):
    tables = steps(tmp_path / "run")
    text = written(tmp_path / "tex", tables, intervals=True)["leaderboard-psnr_rgb.tex"]
    rows = rows_of(text)
    (row,) = tables.leaderboard[
        (tables.leaderboard.task == "snowy") & (tables.leaderboard.restorer == "low")
    ].to_dict("records")
    position = next(n for n, cells in enumerate(rows) if cells[0] == "low")
    low, high = re.findall(r"[\d.]+", rows[position + 1][2].replace("scriptsize", ""))
    assert (low, high) == (f"{row['psnr@rgb_low']:.2f}", f"{row['psnr@rgb_high']:.2f}")
    assert "interval" not in written(tmp_path / "tex", tables)["leaderboard.tex"]


def test_an_incomplete_row_has_a_dagger_and_no_mark(tmp_path):
    def change(record):
        broken = record.digest == "high-hazy-d" and record.sample == "03@3"
        return type(record)(record.digest, record.sample, 0, "failed", failure("error: no")) if broken else record

    tables = steps(tmp_path / "run", change=change)
    text = written(tmp_path / "tex", tables)["leaderboard-psnr_rgb.tex"]
    row = next(cells for cells in rows_of(text) if cells[0] == "high")
    assert row[3].endswith("\\rlap{$^\\dagger$}") and row[-1] == "--"
    assert "$\\dagger$: some images are missing or failed." in text
    complete = written(tmp_path / "tex", steps(tmp_path / "other"))["leaderboard-psnr_rgb.tex"]
    assert "dagger" not in complete


def test_a_metric_that_cannot_be_computed_has_a_sentence_instead_of_a_table(tmp_path):
    tables = steps(tmp_path / "run", columns=(PSNR,))
    lacking = Column("lpips@rgb", True, unavailable="no weights & no network")
    tables = replace(tables, board=replace(tables.board, columns=(PSNR, lacking)))
    files = written(tmp_path / "tex", tables)
    assert set(files) == {"leaderboard-psnr_rgb.tex", "leaderboard.tex"}
    assert "No table of lpips@rgb: no weights \\& no network." in files["leaderboard.tex"]


def test_columns_that_give_one_file_name_have_two_files(tmp_path):
    columns = (PSNR, replace(PSNR, name="psnr@r.b"), replace(PSNR, name="psnr@r_b"))
    files = written(tmp_path / "tex", steps(tmp_path / "run", columns=columns))
    assert len([name for name in files if name.startswith("leaderboard-")]) == 3


def test_negative_numbers_have_a_minus_sign(tmp_path):
    samples = samples_of(6, (3,))
    cell = cell_of("identity", "hazy", samples)
    found = [Record(cell.digest, sample.id, 0, "ok", scores={"psnr@rgb": -1.5}) for sample in samples]
    tables = build(Board("mine", "1", ("hazy",), (PSNR,), (cell,)), found)
    assert "& $-$1.50 &" in written(tmp_path / "tex", tables)["leaderboard-psnr_rgb.tex"]
    assert cell.family is Family.BLIND


@pytest.mark.skipif(COMPILER is None, reason="needs pdflatex")
def test_every_printable_sign_of_ascii_prints_itself(tmp_path):
    text = string.digits + string.ascii_letters + string.punctuation
    source = "\\documentclass{article}\\usepackage[T1]{fontenc}\\pagestyle{empty}\\begin{document}\\noindent\n"
    source += "\\\\\n".join(escaped(text[n : n + 16]) for n in range(0, len(text), 16)) + "\n\\end{document}\n"
    (tmp_path / "a.tex").write_text(source)
    log = compiled(tmp_path, "a.tex")
    assert "Missing character" not in log
    reader = shutil.which("pdftotext")
    if reader is None:
        pytest.skip("needs pdftotext")
    printed = subprocess.run([reader, "a.pdf", "-"], cwd=tmp_path, capture_output=True, check=True).stdout.decode()
    # A grave accent stands so high that it is read with another line.
    assert sorted("".join(printed.split()).replace("’", "'")) == sorted(text)


def test_the_source_is_ascii_and_keeps_one_accent():
    assert escaped("Größe Łódź ç") == "Gr\\\"{o}\\ss{}e \\L{}\\'{o}d\\'{z} \\c{c}"
    assert escaped("ǘ字") == "\\texttt{U+01D8}\\texttt{U+5B57}"
    assert escaped("a--b") == "a-{\\kern0pt}-b"


def test_long_headings_are_stacked_and_lose_nothing():
    assert stacked("hazy") == "hazy"
    heading = stacked("classical:daclip-compact")
    assert heading == "\\begin{tabular}[b]{@{}r@{}}classical:\\\\daclip-\\\\compact\\end{tabular}"
    assert stacked("[a]-" * 6).count("{[}a{]}") == 6
