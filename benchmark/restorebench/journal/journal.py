"""The journal of a run folder: one SQLite file, written only by the driver, so that a crash loses little.

Inserts are idempotent: a record that arrives twice does no harm. A failure never replaces a success, but is kept
for the scores that it leaves missing. One transaction holds one group. WAL lets other processes read while a run
writes. A lock file keeps a second driver out; the system frees it when the process ends, even in a crash.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, TypeVar

from restorebench.contract.errors import RunFolderError
from restorebench.journal import trouble
from restorebench.journal.migration import FORMAT, SCHEMA, migrated, up_to_date
from restorebench.records import (
    OK,
    DetectionRecord,
    Failure,
    Key,
    Record,
    detection_from,
    failure_from,
    record_from,
    text_of,
)

FILE = "run.sqlite"


_UNLESS_WORSE = f"""
ON CONFLICT DO UPDATE SET status = excluded.status, record = excluded.record
WHERE status <> '{OK}' OR excluded.status = '{OK}'"""

Value = TypeVar("Value")


class Journal:
    """A reader and writer of the records of one run folder."""

    def __init__(self, connection: sqlite3.Connection, folder: Path) -> None:
        self._connection = connection
        self.folder = folder

    def records(self, digest: str) -> dict[Key, Record]:
        """Return the records of one cell, without scores, by sample and repetition."""
        rows = self._connection.execute("SELECT record FROM outcomes WHERE digest = ?", (digest,))
        records = (self._parsed(record_from, text) for (text,) in rows)
        return {(record.sample, record.repetition): record for record in records}

    def scores(self, digest: str) -> dict[Key, dict[str, float | None]]:
        """Return the scores of one cell by sample and score digest."""
        found: dict[Key, dict[str, float | None]] = {}
        for sample, repetition, score, value, infinite in self._connection.execute(
            "SELECT sample, repetition, score, value, infinite FROM scores WHERE digest = ? AND failure_kind = ''",
            (digest,),
        ):
            known = value if value is None or isinstance(value, float) else self._parsed(float, value)
            found.setdefault((sample, repetition), {})[score] = float("inf") if infinite else known
        return found

    def unscored(self, digest: str) -> dict[Key, dict[str, Failure]]:
        """Return why metrics failed on images of one cell, by sample and score digest."""
        found: dict[Key, dict[str, Failure]] = {}
        for sample, repetition, score, kind, message in self._connection.execute(
            "SELECT sample, repetition, score, failure_kind, failure FROM scores"
            " WHERE digest = ? AND failure_kind <> ''",
            (digest,),
        ):
            failure = self._parsed(failure_from, json.dumps({"kind": kind, "message": message}))
            found.setdefault((sample, repetition), {})[score] = failure
        return found

    def finished(self, digest: str, images: int, repetitions: int, scores: Iterable[str]) -> bool:
        """Tell quickly whether all images of a cell, so many, were restored in all repetitions with all scores."""
        restored = "SELECT '', COUNT(*) FROM outcomes WHERE digest = ? AND repetition < ? AND status = 'ok'"
        scored = "SELECT score, COUNT(*) FROM scores WHERE digest = ? AND repetition < ? AND failure_kind = ''"
        query = f"{restored} UNION ALL {scored} GROUP BY score"
        counts = dict(self._connection.execute(query, 2 * (digest, repetitions)))
        return all(counts.get(each) == images * repetitions for each in ("", *scores))

    def detections(self, digest: str) -> dict[str, DetectionRecord]:
        """Return the detections of one detector cell, by sample."""
        rows = self._connection.execute("SELECT record FROM detections WHERE digest = ?", (digest,))
        return {record.sample: record for (text,) in rows for record in [self._parsed(detection_from, text)]}

    def parameters(self) -> dict[str, int]:
        """Return parameter counts by cell digest."""
        rows = self._connection.execute("SELECT digest, facts FROM cells")
        counts = {digest: self._parsed(_parameters_from, facts) for digest, facts in rows}
        return {digest: count for digest, count in counts.items() if count is not None}

    def add_records(self, records: Iterable[Record], score_digests: Mapping[str, str]) -> None:
        """Store one group: its records, and their scores under the digests of the columns.

        The `unscored` of a failed record is kept if the image worked before. It then says why the scores for which
        the image was restored again are still missing.
        """
        with self._connection:
            for record in records:
                bare = text_of(replace(record, scores={}, unscored={}))
                self._connection.execute(
                    f"INSERT INTO outcomes VALUES (?, ?, ?, ?, ?) {_UNLESS_WORSE}",
                    (record.digest, record.sample, record.repetition, record.status, bare),
                )
                if record.status == OK or self._worked(record):
                    self._add_scores(record, score_digests)

    def _worked(self, record: Record) -> bool:
        key = (record.digest, record.sample, record.repetition)
        query = "SELECT status FROM outcomes WHERE digest = ? AND sample = ? AND repetition = ?"
        return bool(self._connection.execute(query, key).fetchone() == (OK,))

    def add_scores(self, records: Iterable[Record], score_digests: Mapping[str, str]) -> None:
        """Store new scores of images that were restored before; their records do not change."""
        with self._connection:
            for record in records:
                self._add_scores(record, score_digests)

    def _add_scores(self, record: Record, score_digests: Mapping[str, str]) -> None:
        key = (record.digest, record.sample, record.repetition)
        rows: list[tuple[object, ...]] = [
            (*key, score_digests[column], None if value == math.inf else value, value == math.inf, "", "")
            for column, value in record.scores.items()
        ]
        rows += [
            (*key, score_digests[column], None, 0, failure.message, failure.kind)
            for column, failure in record.unscored.items()
        ]
        self._connection.executemany(
            "INSERT INTO scores VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET value = excluded.value, infinite = excluded.infinite,"
            " failure = excluded.failure, failure_kind = excluded.failure_kind"
            " WHERE failure_kind <> '' OR excluded.failure_kind = ''",
            rows,
        )

    def add_detections(self, records: Iterable[DetectionRecord]) -> None:
        """Store one group of detections."""
        with self._connection:
            self._connection.executemany(
                f"INSERT INTO detections VALUES (?, ?, ?, ?) {_UNLESS_WORSE}",
                [(r.digest, r.sample, r.status, text_of(r)) for r in records],
            )

    def remember(self, key: str, value: Any) -> None:
        """Store one JSON-ready fact about the run."""
        with self._connection:
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value)))

    def recall(self, key: str) -> Any:
        """Return a stored fact, or None."""
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else self._parsed(json.loads, row[0])

    def _parsed(self, make: Callable[[str], Value], text: str) -> Value:
        """Build a value from a stored text, which a stranger or another version may have written."""
        try:
            return make(text)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise RunFolderError(
                f"{self.folder / FILE}: holds an entry that cannot be read ({type(error).__name__});"
                " put the file back, or give --fresh or another --out"
            ) from error

    def add_cell(self, digest: str, facts: Mapping[str, Any]) -> None:
        """Store facts about a cell that only its worker knows, such as its number of parameters."""
        with self._connection:
            self._connection.execute("INSERT OR REPLACE INTO cells VALUES (?, ?)", (digest, json.dumps(facts)))


def empty(folder: Path) -> Journal:
    """Return an empty journal in memory, for a run that has not begun."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(SCHEMA)
    return Journal(connection, folder)


def _parameters_from(facts: str) -> int | None:
    count = json.loads(facts).get("parameters")
    return None if count is None else int(count)


@contextmanager
def opened(folder: Path, fresh: bool = False) -> Iterator[Journal]:
    """Open a run folder for writing, and make it if needed; hold its lock until the block ends.

    fresh: move the journal of an earlier run aside first.

    Raises:
        RunFolderError: the folder is a file, not a run, in use, read-only or full.
    """
    database = folder / FILE
    if folder.exists() and not folder.is_dir():
        raise RunFolderError(f"{folder} is a file; give --out a folder")
    if folder.is_dir() and not database.exists() and any(p.name != ".lock" for p in folder.iterdir()):
        leftovers = {p.name for p in folder.iterdir()} - {".lock", "logs"}
        if leftovers:
            raise RunFolderError(f"{folder} is not empty and not a run; give --out another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _lock(folder):
            if fresh and database.exists():
                _move_aside(folder)
            connection = _connect(database)
            try:
                yield Journal(connection, folder)
            finally:
                connection.close()
    except sqlite3.Error as error:
        raise RunFolderError(trouble.of_journal(database, error)) from error
    except OSError as error:
        if why := trouble.of_folder(folder, error):
            raise RunFolderError(why) from error
        raise


@contextmanager
def looked_at(folder: Path) -> Iterator[Journal | None]:
    """Open the journal of a run folder for reading, even while a run writes; None if there is no run.

    Raises:
        RunFolderError: the file cannot be read.
    """
    database = folder / FILE
    if not database.is_file():
        yield None
        return
    try:
        connection = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)
        try:
            yield Journal(up_to_date(connection), folder)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise RunFolderError(trouble.of_journal(database, error)) from error


@contextmanager
def _lock(folder: Path) -> Iterator[IO[str]]:
    with (folder / ".lock").open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunFolderError(f"{folder} is in use by another run; wait for it or give --out") from None
        except OSError as error:
            if why := trouble.of_lock(folder, error):
                raise RunFolderError(why) from error
            raise
        yield handle


def _connect(database: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.executescript(SCHEMA)
    with connection:
        connection.execute("INSERT OR IGNORE INTO meta VALUES ('format', ?)", (str(FORMAT),))
    found = migrated(connection)
    if found != str(FORMAT):
        connection.close()
        raise RunFolderError(f"{database} has format {found}, this version reads {FORMAT}; use --fresh")
    return connection


def _move_aside(folder: Path) -> None:
    """Move an earlier run's tables aside, which would look like those of the new run, and then its journal."""
    stamp = time.strftime("%Y%m%dT%H%M%S") + f"-{os.getpid()}"
    for table in [path for path in folder.iterdir() if path.is_file()]:
        if not table.name.startswith(".") and ".sqlite" not in table.name:
            (folder / f"run-{stamp}").mkdir(exist_ok=True)
            table.rename(folder / f"run-{stamp}" / table.name)
    for name in (FILE, f"{FILE}-wal", f"{FILE}-shm"):
        if (folder / name).exists():
            (folder / name).rename(folder / name.replace(FILE, f"run-{stamp}.sqlite"))
