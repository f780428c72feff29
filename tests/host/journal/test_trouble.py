"""Errors of a run folder are told with their true cause."""

from __future__ import annotations

import errno
import fcntl
import sqlite3
from contextlib import closing

import pytest

from restorebench.contract.errors import RunFolderError
from restorebench.journal import trouble
from restorebench.journal.journal import FILE, opened


def failed(name, text="disk I/O error"):
    error = sqlite3.OperationalError(text)
    error.sqlite_errorname = name
    return error


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("SQLITE_FULL", "run.sqlite: no space left on the disk; 2 files of this run take "),
        ("SQLITE_IOERR_SHMMAP", "run.sqlite-shm: this file system cannot map memory"),
        ("SQLITE_IOERR_LOCK", "cannot lock files (SQLITE_IOERR_LOCK); give --out a folder on a local disk"),
        ("SQLITE_PROTOCOL", "cannot lock files"),
        ("SQLITE_BUSY_RECOVERY", "another program has it open"),
        ("SQLITE_LOCKED_SHAREDCACHE", "another program has it open"),
        ("SQLITE_IOERR_READ", "reading or writing failed (SQLITE_IOERR_READ); look at the disk"),
        ("SQLITE_CANTOPEN", "disk I/O error; give --out another folder, or copy the run"),
        ("SQLITE_CORRUPT", "put back a copy, or give --fresh"),
        (None, "put back a copy, or give --fresh"),
    ],
)
def test_the_cause_of_an_error_of_the_journal_is_named(tmp_path, name, said):
    (tmp_path / "outputs" / "deep").mkdir(parents=True)
    (tmp_path / "outputs" / "deep" / "a.png").write_bytes(bytes(3 << 20))
    (tmp_path / "log").write_bytes(bytes(1 << 20))
    text = trouble.of_journal(tmp_path / FILE, failed(name))
    assert said in text and text.startswith(str(tmp_path))
    if name == "SQLITE_FULL":
        assert "take 4.0 MiB: outputs 3.0 MiB, log 1.0 MiB; make room" in text


def test_a_journal_that_another_program_holds_is_one_line(tmp_path, monkeypatch):
    with opened(tmp_path):
        pass
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *given, **named: connect(*given, **{**named, "timeout": 0.1}))
    with closing(connect(tmp_path / FILE)) as other:
        other.execute("PRAGMA journal_mode=DELETE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(RunFolderError, match=r"run\.sqlite: another program has it open"), opened(tmp_path):
            pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP])
def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    said = r"cannot lock files .* give --out a folder on a local disk"
    with pytest.raises(RunFolderError, match=said), opened(tmp_path):
        pass


def test_an_error_of_another_place_is_not_one_of_the_run_folder(tmp_path):
    (tmp_path / "run").mkdir()
    elsewhere = OSError(errno.ENOSPC, "No space left on device", "/elsewhere/file")
    assert trouble.of_folder(tmp_path / "run", elsewhere) == ""
    here = OSError(errno.EIO, "Input/output error", str(tmp_path / "run" / "x.png"))
    assert "x.png: Input/output error; give --out another folder" in trouble.of_folder(tmp_path / "run", here)
