"""A worker whose method computes on a device degrades the next group and scores the last one meanwhile."""

from __future__ import annotations

import pytest

from restorebench.contract.errors import RunFolderError
from restorebench.engine import supervisor
from restorebench.suite.settings import Request

pytestmark = pytest.mark.slow

SIDES = ["identity", "classical", "fails-on-bright"]


@pytest.fixture
def pipelined(monkeypatch):
    """Pretend that the processor is a device."""
    monkeypatch.setitem(supervisor.PIPELINED, "cpu", True)


def reasons(result, restorer):
    table = result.tables.records
    return list(table[table.restorer == restorer].reason)


def test_the_three_steps_work_on_three_groups_at_once(run, pipelined, tmp_path, monkeypatch):
    (tmp_path / "marks").mkdir()
    monkeypatch.setenv("RESTOREBENCH_TEST_MARK", str(tmp_path / "marks"))
    monkeypatch.setenv("RESTOREBENCH_CONFINED", "0")  # the plugin writes there
    data = [{"name": "numbered"}]
    result, _ = run(["waiting"], plugins=["overlapping.py"], datasets=data, metrics=["mean"], batch_size=1)
    assert reasons(result, "waiting") == [""] * 5
    assert list(result.tables.records["mean@rgb"].round(1)) == [0.0, 0.1, 0.2, 0.3, 0.4]


def test_without_a_pipeline_a_step_waits_for_the_one_before(run, tmp_path, monkeypatch):
    (tmp_path / "marks").mkdir()
    monkeypatch.setenv("RESTOREBENCH_TEST_MARK", str(tmp_path / "marks"))
    monkeypatch.setenv("RESTOREBENCH_CONFINED", "0")
    data, short = [{"name": "numbered"}], {"image_seconds": 3}
    one = {"request": Request(limit=1)}
    result, _ = run(["waiting"], plugins=["overlapping.py"], datasets=data, limits=short, settings=one)
    assert reasons(result, "waiting") == ["timeout: more than 3 s for one image"]


@pytest.mark.parametrize("batch_size", [1, 2])
def test_a_pipeline_gives_the_same_tables(run, monkeypatch, batch_size):
    keys = {"batch_size": batch_size, "save": "all"}
    serial, _ = run(SIDES, out="serial", **keys)
    monkeypatch.setitem(supervisor.PIPELINED, "cpu", True)
    pipelined, _ = run(SIDES, out="pipelined", **keys)
    assert serial.tables.records.equals(pipelined.tables.records)
    assert serial.tables.leaderboard.equals(pipelined.tables.leaderboard)
    assert reasons(pipelined, "fails-on-bright") == ["", "", "error: RuntimeError: too bright"]


def test_only_the_image_that_ends_the_method_or_hangs_is_lost(run, pipelined):
    names = ["exits", "crashes-on-bright", "hangs", "identity"]
    result, _ = run(names, limits={"image_seconds": 5})
    assert reasons(result, "crashes-on-bright") == ["", "", "crash: exit code 7"]
    assert reasons(result, "exits") == ["crash: exit code 0"] * 3
    assert reasons(result, "hangs") == ["timeout: more than 5 s for one image"] * 3
    assert reasons(result, "identity") == [""] * 3


def test_a_folder_that_cannot_be_written_ends_the_run_with_one_line(run, pipelined, tmp_path):
    run(["identity"], settings={"request": Request(limit=1)})
    (tmp_path / "run" / "outputs").write_text("in the way")
    with pytest.raises(RunFolderError, match="outputs"):
        run(["identity"], save="all")
