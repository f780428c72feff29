"""The format of journals, and the conversion of older formats, so that old runs can be continued."""

from __future__ import annotations

import json
import sqlite3

from restorebench.records import FailureKind

FORMAT = 3

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS cells (digest TEXT PRIMARY KEY, facts TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS outcomes (
    digest TEXT NOT NULL, sample TEXT NOT NULL, repetition INTEGER NOT NULL,
    status TEXT NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY (digest, sample, repetition)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS scores (
    digest TEXT NOT NULL, sample TEXT NOT NULL, repetition INTEGER NOT NULL,
    score TEXT NOT NULL, value REAL, infinite INTEGER NOT NULL,
    failure TEXT NOT NULL, failure_kind TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (digest, sample, repetition, score)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS detections (
    digest TEXT NOT NULL, sample TEXT NOT NULL, status TEXT NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY (digest, sample)) WITHOUT ROWID;
"""

_KINDS = {kind.value for kind in FailureKind}


def migrated(connection: sqlite3.Connection) -> str:
    """Convert a journal of a known older format to the present one; return the format that it has now."""
    found = _format(connection)
    if found == "2":
        _from_2(connection)
        return str(FORMAT)
    return found


def up_to_date(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Return a connection to the records in the present format: to a copy in memory if they must be converted."""
    if _format(connection) != "2":
        return connection
    copy = sqlite3.connect(":memory:")
    connection.backup(copy)
    migrated(copy)
    return copy


def _format(connection: sqlite3.Connection) -> str:
    """Return the format; empty for a file of another program."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'format'").fetchone()
    return "" if row is None else str(row[0])


def _from_2(connection: sqlite3.Connection) -> None:
    """Store the kind of failures in its own field. In format 2 it began the reason, before the first colon."""
    with connection:  # one transaction: if the process is killed here, the file keeps format 2
        connection.execute("BEGIN")
        connection.execute("ALTER TABLE scores ADD COLUMN failure_kind TEXT NOT NULL DEFAULT ''")
        failures = connection.execute("SELECT DISTINCT failure FROM scores WHERE failure <> ''").fetchall()
        for (reason,) in failures:
            kind, message = split(reason)
            told = "UPDATE scores SET failure = ?, failure_kind = ? WHERE failure = ? AND failure_kind = ''"
            connection.execute(told, (message, kind, reason))
        for table in ("outcomes", "detections"):
            rows = connection.execute(f"SELECT record FROM {table} WHERE status = 'failed'").fetchall()
            connection.executemany(
                f"UPDATE {table} SET record = ? WHERE record = ?", [(_with_kind(text), text) for (text,) in rows]
            )
        connection.execute("UPDATE meta SET value = '3' WHERE key = 'format'")


def _with_kind(text: str) -> str:
    record = json.loads(text)
    kind, message = split(record.pop("reason", ""))
    record["failure"] = {"kind": kind, "message": message}
    return json.dumps(record)


def split(reason: str) -> tuple[str, str]:
    """Split `timeout: more than 5 s` into its kind and its message."""
    kind, _, message = reason.partition(": ")
    return (kind, message) if kind in _KINDS else (FailureKind.ERROR.value, reason)
