"""The table of hostile plugins: what each tried, whether its attack ran, and what it gained."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.host.boundary import at_import

ATTACKS = Path(__file__).with_name("attacks.py")
SECRET = "RESTOREBENCH_TEST_SECRET"
SECONDS = 3
DAEMON = "987654"

SUITE = """
suite: hostile
version: "1"
seed: 0
tasks: [noisy]
datasets: [{name: synthetic, options: {clean: embedded, crop: 64, severities: [3]}}]
restorers: [%s]
metrics: [psnr]
limits: {image_seconds: %d}
"""


@dataclass(frozen=True)
class Row:
    """One hostile plugin. ran: its attack left its sign. gained: "" if it gained nothing. outcome: its status."""

    name: str
    ran: bool
    gained: str
    outcome: str

    @property
    def held(self) -> bool:
        return self.ran and not self.gained


@dataclass(frozen=True)
class Ran:
    """One run: its exit code, all that it printed, its logs, its lines and reasons by restorer."""

    code: int
    text: str
    logs: str
    lines: dict[str, dict[str, str]]
    reasons: dict[str, str]


def names() -> list[str]:
    """List the attacks that begin when a restorer is called."""
    return [
        name.replace("_", "-") for name in re.findall(r"^@attack\ndef (\w+)", ATTACKS.read_text(), re.MULTILINE)
    ]


def run(folder: Path, restorers: Sequence[str], plugins: Iterable[Path], arguments: Sequence[str] = ()) -> Ran:
    """Run restorers on one image, with the command line."""
    folder.mkdir(parents=True)
    (folder / "hostile.yaml").write_text(SUITE % (", ".join(restorers), SECONDS))
    named = [word for path in plugins for word in ("--plugin", str(path))]
    done = subprocess.run(
        [sys.executable, "-m", "restorebench", "run", "hostile.yaml", "--limit", "1", *named, *arguments],
        cwd=folder,
        env={**os.environ, SECRET: "a password", "RESTOREBENCH_HOME": str(folder / "cache")},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=900,
    )
    out = folder / "runs" / "hostile"
    logs = "".join(path.read_text(errors="replace") for path in out.glob("logs/**/*.log"))
    lines: dict[str, dict[str, str]] = {}
    reasons: dict[str, str] = {}
    if (out / "leaderboard.csv").exists():
        lines = {line["restorer"]: line for line in _lines(out / "leaderboard.csv")}
        reasons = {line["restorer"]: line["reason"] for line in _lines(out / "records.csv")}
    return Ran(done.returncode, done.stdout + done.stderr, logs, lines, reasons)


def _lines(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return [line for line in csv.DictReader(file) if line["task"] == "noisy"]


def rows(ran: Ran, asked: Iterable[str], honest: str) -> list[Row]:
    """Judge the attacks of one run. honest: the score of a copy of the input."""
    found = []
    for name in asked:
        line = ran.lines.get(name, {"psnr@rgb": "", "status": "no row"})
        score = line["psnr@rgb"]
        failed = "incomplete" in line["status"]
        gained = f"{score} instead of {honest}" if score and score != honest and not failed else ""
        gained = gained or ("no row" if line["status"] == "no row" else "")
        found.append(Row(name, f"SIGN {name}" in ran.logs, gained, ran.reasons.get(name) or "as its input"))
    return found


def left() -> list[str]:
    """Return the command lines of processes that plugins have left behind."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if DAEMON in line:
                found.append(line)
    return found


def beside_honest_ones(
    folder: Path, asked: Sequence[str], plugins: Sequence[Path], honest: str, arguments: Sequence[str] = ()
) -> tuple[Ran, list[str]]:
    """Run attacks between two rows of `identity`; return the run, and what the host did wrong."""
    ran = run(folder, ["identity", *asked, "{name: identity, label: last}"], plugins, arguments)
    wrong = [
        f"{each} has {ran.lines.get(each, {}).get('psnr@rgb')}, not {honest}"
        for each in ("identity", "last")
        if ran.lines.get(each, {}).get("psnr@rgb") != honest
    ]
    if "Traceback" in ran.text:
        wrong.append(f"a traceback: {ran.text[-2000:]}")
    failed = any("incomplete" in line["status"] for line in ran.lines.values())
    if ran.code != (3 if failed else 0):
        wrong.append(f"exit {ran.code}: {ran.text[-1000:]}")
    return ran, wrong + [f"left behind: {each}" for each in left()]


def all_rows(folder: Path, arguments: Sequence[str] = ()) -> tuple[list[Row], list[str]]:
    """Run all hostile plugins, and return their rows, and what the host did wrong."""
    honest = run(folder / "honest", ["identity"], []).lines["identity"]["psnr@rgb"]
    plugins = folder / "plugins"
    plugins.mkdir()
    importing = [at_import.write(plugins, name) for name in at_import.BODIES]
    wrong, found = [], []
    for title, asked, files in (("calls", names(), [ATTACKS]), ("imports", [*at_import.BODIES], importing)):
        ran, mistakes = beside_honest_ones(folder / title, asked, files, honest, arguments)
        found += rows(ran, asked, honest)
        wrong += mistakes
    for name in at_import.USELESS:
        asked = [] if name == "is-called-as-another" else [name]
        ran = run(folder / name, ["identity", *asked], [at_import.write(plugins, name)], arguments)
        said = ran.text.strip().splitlines()
        one_line = ran.code == 2 and len(said) == 1 and "Traceback" not in ran.text
        found.append(Row(name, True, "" if one_line else f"exit {ran.code}", said[-1] if said else ""))
    written = [str(path) for path in folder.rglob("written-by-a-plugin")]
    return found, wrong + [f"written: {path}" for path in written]


def main() -> int:
    """Print the table; return 1 if a plugin gained something or its attack did not run."""
    with tempfile.TemporaryDirectory() as folder:
        found, wrong = all_rows(Path(folder), sys.argv[1:])
    print("| plugin | ran | gained | outcome |\n|---|---|---|---|")
    for row in found:
        print(f"| {row.name} | {'yes' if row.ran else 'NO'} | {row.gained or 'nothing'} | {row.outcome[:90]} |")
    held = sum(row.held for row in found)
    print(f"{len(found)} plugins, {held} of them ran and gained nothing")
    for each in wrong:
        print(f"wrong: {each}")
    return int(held < len(found) or bool(wrong))
