from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from dataclasses import asdict
from pathlib import Path

import pytest

from restorebench.contract.errors import RunFolderError
from restorebench.journal import journal as journals
from restorebench.records import DetectionRecord, Execution, Record, detection_from, record_from

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
    assert detection_from(raw) == DetectionRecord("d", "a", "ok", labels=("hazy",))


def test_records_of_an_older_journal_are_read():
    raw = asdict(record())
    del raw["execution"]["batch_limit"]
    assert record_from(raw) == record()


def test_what_arrives_twice_is_stored_once(tmp_path):
    with journals.opened(tmp_path) as journal:
        for _ in range(3):
            journal.add_records([record()], DIGESTS)
        assert len(journal.records("cell")) == 1


def test_a_failure_never_replaces_what_worked(tmp_path):
    failed = Record("cell", "a", 0, "failed", "timeout: slow", unscored={"psnr@rgb": "error: metric"})
    said = DetectionRecord("d", "a", "ok", labels=("hazy",))
    with journals.opened(tmp_path) as journal:
        for first, second in [(failed, record()), (record(), failed)]:
            journal.add_records([first], DIGESTS)
            journal.add_records([second], DIGESTS)
            assert journal.records("cell")["a", 0].status == "ok"
            assert journal.scores("cell") == {("a", 0): {"p1": 20.5, "s1": None}}
            assert journal.unscored("cell") == {}
        journal.add_detections([said])
        journal.add_detections([DetectionRecord("d", "a", "failed", "timeout: slow")])
        assert journal.detections("d")["a"].labels == ("hazy",)


def test_a_folder_in_use_is_refused_and_free_after_a_kill(tmp_path):
    code = f"""
        import time
        from pathlib import Path
        from restorebench import journal
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
        place = "/proc/restorebench-run"  # root may write anywhere but there
    else:
        (tmp_path / "fixed").mkdir(mode=0o500)
        place = str(tmp_path / "fixed" / "run")
    from pathlib import Path

    with pytest.raises(RunFolderError, match="give --out"), journals.opened(Path(place)):
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
