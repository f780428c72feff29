"""A journal may be cut off, foreign, newer or made by a stranger: the commands that open it say so in one line."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

pytestmark = pytest.mark.faults

SUITE = """
suite: small
tasks: [noisy]
datasets: [{name: paired-folder, options: {path: pairs}}]
restorers: [identity]
metrics: [psnr]
clean_inputs: false
"""
COMMANDS = {
    "run": ("run", "s.yaml", "--out", "run", "--workers", "0", "--quiet"),
    "dry run": ("run", "s.yaml", "--out", "run", "--dry-run"),
    "report": ("report", "run"),
    "score": ("score", "run", "--workers", "0"),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Keep a folder with a run in it, made by the first test that asks."""
    return tmp_path_factory.mktemp("finished")


@pytest.fixture
def journal(finished, call, pairs, tmp_path):
    """Give the journal of a finished run in the working folder."""
    (tmp_path / "s.yaml").write_text(SUITE)
    if not (finished / "run").is_dir():
        assert call(*COMMANDS["run"], "--save", "all")[0] == 0
        shutil.copytree(tmp_path / "run", finished / "run")
    shutil.copytree(finished / "run", tmp_path / "run", dirs_exist_ok=True)
    return tmp_path / "run" / "run.sqlite"


def told(path: Path, *statements: tuple[str, tuple[object, ...]]) -> None:
    connection = sqlite3.connect(path)
    with connection:
        for statement, values in statements:
            connection.execute(statement, values)
    connection.close()


def cut(share: float):
    def spoil(path: Path) -> None:
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])

    return spoil


def zeroed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[100 : len(content) // 2] = bytes(len(content) // 2 - 100)
    path.write_bytes(content)


def foreign(path: Path) -> None:
    path.unlink()
    told(path, ("CREATE TABLE outcomes (recipe TEXT)", ()), ("CREATE TABLE meta (key TEXT, value TEXT)", ()))


def facts(change):
    """Change what the journal says of its run."""

    def spoil(path: Path) -> None:
        (text,) = sqlite3.connect(path).execute("SELECT value FROM meta WHERE key = 'run'").fetchone()
        told(path, ("UPDATE meta SET value = ? WHERE key = 'run'", (change(text),)))

    return spoil


def without(key: str):
    return facts(lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != key}))


def in_place(**values: object):
    return facts(lambda text: json.dumps({**json.loads(text), **values}))


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


SPOILT = {
    "cut in half": cut(0.5),
    "cut to its header": cut(0.01),
    "zeroed in the middle": zeroed,
    "a text": lambda path: path.write_text("suite: small\n" * 100),
    "a folder": as_folder,
    "another program's": foreign,
    "of a newer format": lambda path: told(path, ("UPDATE meta SET value = '99' WHERE key = 'format'", ())),
    "with a record that is no JSON": lambda path: told(path, ("UPDATE outcomes SET record = '{'", ())),
    "with a record of another version": lambda path: told(path, ("UPDATE outcomes SET record = '{\"a\": 1}'", ())),
    "with a record nested deeply": lambda path: told(path, ("UPDATE outcomes SET record = ?", ("[" * 100_000,))),
    "with an image of another folder": lambda path: told(
        path, ("UPDATE outcomes SET record = json_set(record, '$.output', '../../secret.png')", ())
    ),
    "with a score that is text": lambda path: told(path, ("UPDATE scores SET value = 'much'", ())),
    "with facts that are no JSON": facts(lambda text: text[:50]),
    "with facts that are a list": facts(lambda text: "[1]"),
    "without its suite": without("suite"),
    "without its folder": without("folder"),
    "without its digests": without("digests"),
    "with an invalid suite": in_place(suite={"suite": "small", "datasets": 5}),
    "with digests that are a number": in_place(digests=7),
    "with plugins that are a number": in_place(plugins=7),
}


@pytest.mark.parametrize("case", SPOILT)
def test_a_spoilt_journal_is_one_line_or_put_right(journal, call, case, observe):
    SPOILT[case](journal)
    spoilt = shutil.copytree(journal.parent, journal.parent.with_name("spoilt"))
    lines = {}
    for name, command in COMMANDS.items():
        shutil.rmtree(journal.parent)
        shutil.copytree(spoilt, journal.parent)
        code, _, error = call(*command)
        lines[name] = (code, error.strip())
        assert code in (0, 2), lines[name]
        assert "Traceback" not in error
        assert code == 0 or (error.startswith("restorebench: ") and len(error.splitlines()) == 1), lines[name]
    refused = {name: line for name, (code, line) in lines.items() if code == 2}
    assert refused, "nothing minded"
    observe(f"exit 2 of {', '.join(refused)}", next(iter(refused.values())))


def test_a_wal_of_another_journal_changes_nothing(journal, call):
    (journal.parent / "run.sqlite-wal").write_bytes(b"\x37\x7f\x06\x82" + bytes(10_000))
    code, _, error = call(*COMMANDS["run"])
    assert code == 0, error


def test_fresh_puts_a_spoilt_journal_aside(journal, call):
    journal.write_text("not a journal")
    code, _, error = call(*COMMANDS["run"], "--fresh")
    assert code == 0, error
    assert len(list(journal.parent.glob("run-*.sqlite"))) == 1
