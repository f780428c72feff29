"""The guard of a worker: what it passes on of what is printed, and that it does not wait for what cannot come."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

from restorebench.guest import channel
from restorebench.guest.processes import LOG_BYTES, descriptor_of
from restorebench.plan.described import end_all
from restorebench.suite.settings import Request

GUARDED = "import os, sys, time; from restorebench.guest.processes import continue_guarded as go; go({parent}); "


def guarded(script):
    """Run a script in the child of a guard; return the guard's exit code and what came out."""
    text = GUARDED.format(parent=os.getpid()) + script
    done = subprocess.run([sys.executable, "-c", text], stdout=subprocess.PIPE, timeout=120)
    return done.returncode, done.stdout


def test_the_guard_ends_as_its_child_and_passes_on_what_it_printed():
    assert guarded("print('last words', flush=True); os._exit(7)") == (7, b"last words\n")


def test_a_log_that_is_too_long_is_cut_with_a_line_that_says_so():
    code, printed = guarded("[os.write(1, b'x' * (1 << 20)) for _ in range(30)]")
    assert code == 0
    assert printed[:LOG_BYTES] == b"x" * LOG_BYTES
    assert printed[LOG_BYTES:] == b"\n(the rest of this log is left out: it is too long)\n"


def test_a_guard_whose_child_can_no_longer_print_waits_without_work():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code, _ = guarded("os.close(1); os.close(2); time.sleep(3)")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert code == 0
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.5  # of 3 s, with two imports


@pytest.mark.slow
def test_no_folder_for_temporary_files_stays_behind(run, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    one = {"request": Request(limit=1)}
    run(["identity", "hangs", "exits", "raises"], limits={"image_seconds": 2}, settings=one)
    end_all()  # the process that describes the plugin stays for more questions
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("has", [True, False])
def test_the_end_of_a_process_can_be_waited_for_with_any_python(has, monkeypatch):
    if not has:
        monkeypatch.delattr(os, "pidfd_open")  # as in one that was built for older systems
    child = subprocess.Popen(["sleep", "600"])
    ended = descriptor_of(child.pid)
    try:
        assert not channel.readable(ended, 0.1)
        child.kill()
        assert channel.readable(ended, 60)
    finally:
        child.kill()
        child.wait()
        os.close(ended)
