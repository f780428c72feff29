"""The guard of a worker: what it passes on of what is printed, and that it does not wait for what cannot come."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

from restorebench.guest.processes import LOG_BYTES

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
