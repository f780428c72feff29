from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from restorebench.contract.errors import RunFolderError
from restorebench.journal import journal as journals
from restorebench.journal import migration
from restorebench.records import DetectionRecord, Execution, Record, detection_from, record_from
from tests.failing import failure

DIGESTS = {"psnr@rgb": "p1", "ssim@rgb": "s1"}


def record(sample="a", **facts):
    values = {"scores": {"psnr@rgb": 20.5, "ssim@rgb": None}, "told": ("noisy",), **facts}
    return Record("cell", sample, 0, "ok", execution=Execution("cpu", 1, 1), **values)


def test_what_is_written_is_read_back(tmp_path):
    with journals.opened(tmp_path / "run") as journal:
        journal.add_records([record(), record("b", scores={"psnr@rgb": float("inf")})], DIGESTS)
        journal.add_detections([DetectionRecord("d", "a", "ok", labels=("hazy",), probabilities={"hazy": 0.5})])
        journal.add_cell("cell", {"parameters": 7})
    with journals.opened(tmp_path / "run") as journal:
        found = journal.records("cell")
        assert found["a", 0].told == ("noisy",)
        assert found["a", 0].execution == Execution("cpu", 1, 1)
        assert journal.scores("cell") == {("a", 0): {"p1": 20.5, "s1": None}, ("b", 0): {"p1": float("inf")}}
        assert journal.detections("d")["a"].labels == ("hazy",)
        assert journal.parameters() == {"cell": 7}


def test_a_cell_is_finished_once_it_has_every_image_repetition_and_score(tmp_path):
    with journals.opened(tmp_path / "run") as journal:
        journal.add_records([record(), record("b", scores={"psnr@rgb": 20.0})], DIGESTS)
        assert journal.finished("cell", 2, 1, ["p1"])
        assert not journal.finished("cell", 2, 1, ["p1", "s1"])
        assert not journal.finished("cell", 3, 1, ["p1"])
        assert not journal.finished("cell", 2, 2, ["p1"])
        assert not journal.finished("other", 2, 1, [])
        journal.add_scores([record("b", scores={}, unscored={"ssim@rgb": failure("error: x")})], DIGESTS)
        assert not journal.finished("cell", 2, 1, ["p1", "s1"])
        journal.add_scores([record("b", scores={"ssim@rgb": None})], DIGESTS)
        assert journal.finished("cell", 2, 1, ["p1", "s1"])
        journal.add_records([replace(record("c"), status="failed", failure=failure("error: x"))], DIGESTS)
        assert not journal.finished("cell", 3, 1, ["p1", "s1"])


def test_detections_of_an_older_journal_are_read():
    raw = {
        "digest": "d",
        "sample": "a",
        "status": "ok",
        "labels": ["hazy"],
        "seconds": 0.1,
        "warm": True,
        "pixels": 9,
    }
    assert detection_from(json.dumps(raw)) == DetectionRecord("d", "a", "ok", labels=("hazy",))


def test_records_of_an_older_journal_are_read():
    raw = asdict(record())
    del raw["execution"]["batch_limit"]
    assert record_from(json.dumps(raw)) == record()


def test_what_arrives_twice_is_stored_once(tmp_path):
    with journals.opened(tmp_path) as journal:
        for _ in range(3):
            journal.add_records([record()], DIGESTS)
        assert len(journal.records("cell")) == 1


def test_a_failure_never_replaces_what_worked(tmp_path):
    failed = Record(
        "cell", "a", 0, "failed", failure("timeout: slow"), unscored={"psnr@rgb": failure("error: metric")}
    )
    said = DetectionRecord("d", "a", "ok", labels=("hazy",))
    with journals.opened(tmp_path) as journal:
        for first, second in [(failed, record()), (record(), failed)]:
            journal.add_records([first], DIGESTS)
            journal.add_records([second], DIGESTS)
            assert journal.records("cell")["a", 0].status == "ok"
            assert journal.scores("cell") == {("a", 0): {"p1": 20.5, "s1": None}}
            assert journal.unscored("cell") == {}
        journal.add_detections([said])
        journal.add_detections([DetectionRecord("d", "a", "failed", failure("timeout: slow"))])
        assert journal.detections("d")["a"].labels == ("hazy",)


def test_a_folder_in_use_is_refused_and_free_after_a_kill(tmp_path):
    code = f"""
        import time
        from pathlib import Path
        from restorebench.journal import journal
        with journal.opened(Path({str(tmp_path)!r})):
            print("open", flush=True)
            time.sleep(60)
    """
    holder = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(RunFolderError, match="in use by another run"), journals.opened(tmp_path):
            pass
    finally:
        holder.kill()
        holder.wait()
    with journals.opened(tmp_path) as journal:
        assert journal.records("cell") == {}


@pytest.mark.faults
def test_a_file_and_a_foreign_folder_are_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="is a file"), journals.opened(tmp_path / "file"):
        pass
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_text("")
    with pytest.raises(RunFolderError, match="not a run"), journals.opened(tmp_path / "photos"):
        pass


@pytest.mark.faults
def test_a_read_only_place_is_refused(tmp_path):
    if os.geteuid() == 0:
        target = "/proc/restorebench-run"  # root may write anywhere but there
    else:
        (tmp_path / "fixed").mkdir(mode=0o500)
        target = str(tmp_path / "fixed" / "run")
    from pathlib import Path

    with pytest.raises(RunFolderError, match="give --out"), journals.opened(Path(target)):
        pass


@pytest.mark.faults
def test_a_full_disk_is_one_clear_error(tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    folder = tmp_path / "run"
    with journals.opened(folder):
        pass
    (folder / journals.FILE).unlink()
    (folder / journals.FILE).symlink_to("/dev/full")
    with pytest.raises(RunFolderError, match=r"run\.sqlite"), journals.opened(folder):
        pass


def test_fresh_puts_the_old_journal_and_its_tables_aside(tmp_path):
    with journals.opened(tmp_path) as journal:
        journal.add_records([record()], DIGESTS)
    (tmp_path / "leaderboard.csv").write_text("a table")
    (tmp_path / "outputs").mkdir()
    with journals.opened(tmp_path, fresh=True) as journal:
        assert journal.records("cell") == {}
    (aside,) = tmp_path.glob("run-*.sqlite")
    assert aside.with_suffix("").joinpath("leaderboard.csv").read_text() == "a table"
    assert {path.name for path in tmp_path.iterdir()} >= {".lock", "outputs", journals.FILE}
    assert not (tmp_path / "leaderboard.csv").exists()


# ---------------------------------------------------------------- journals of older versions

OLDER = Path(__file__).with_name("journal_format_2.sql")
"""The dump of a journal that the version before failure kinds wrote: its reasons were `kind: message`."""


@pytest.fixture
def older(tmp_path):
    (tmp_path / "run").mkdir()
    with closing(sqlite3.connect(tmp_path / "run" / "run.sqlite")) as connection:
        connection.executescript(OLDER.read_text())
    return tmp_path / "run"


def told_of(folder):
    """List what an older journal told of each failure, by table, as its version printed it."""
    with closing(sqlite3.connect(folder / "run.sqlite")) as connection:
        outcomes, detections = (
            [json.loads(text) for (text,) in connection.execute(f"SELECT record FROM {table}")]
            for table in ("outcomes", "detections")
        )
        scores = connection.execute("SELECT digest, sample, score, failure FROM scores").fetchall()
    return outcomes, detections, scores


def test_failures_of_an_older_journal_keep_their_words_and_get_a_kind(older):
    outcomes, detections, scores = told_of(older)
    reasons = {record["reason"] for record in outcomes}
    assert {reason.partition(":")[0] for reason in reasons} == {"", "detector", "contract", "crash", "timeout"}
    with journals.opened(older) as journal:
        for record in outcomes:
            found = journal.records(record["digest"])[record["sample"], record["repetition"]]
            assert (found.status, found.reason) == (record["status"], record["reason"])
            assert (found.failure is None) == (record["status"] == "ok")
        for said in detections:
            assert journal.detections(said["digest"])[said["sample"]].reason == said["reason"]
        for digest, sample, score, reason in scores:
            failure = journal.unscored(digest).get((sample, 0), {}).get(score)
            assert ("" if failure is None else str(failure)) == reason
            assert (score in journal.scores(digest).get((sample, 0), {})) == (not reason)


def test_an_older_journal_is_only_changed_by_who_writes(older):
    before = (older / "run.sqlite").read_bytes()
    with journals.looked_at(older) as journal:
        digests = {record["digest"] for record in told_of(older)[0]}
        reasons = {record.reason for digest in digests for record in journal.records(digest).values()}
    assert "timeout: more than 1 s for one image" in reasons
    assert (older / "run.sqlite").read_bytes() == before
    with journals.opened(older):
        pass
    with journals.opened(older) as journal:  # and a second time it is as the first left it
        assert {r.reason for digest in digests for r in journal.records(digest).values()} == reasons


def test_a_migration_that_is_cut_off_leaves_the_older_format(older, monkeypatch):
    def interrupted(reason):
        raise KeyboardInterrupt

    monkeypatch.setattr(migration, "split", interrupted)
    with pytest.raises(KeyboardInterrupt), journals.opened(older):
        pass
    monkeypatch.undo()
    test_failures_of_an_older_journal_keep_their_words_and_get_a_kind(older)
