"""A plugin without manners costs its own images, whatever it does to its process, and the run goes on."""

from __future__ import annotations

import resource
import subprocess

import pytest

from restorebench.engine import child
from restorebench.suite.settings import Request

pytestmark = [pytest.mark.faults, pytest.mark.slow]

EXPECTED = {
    "long-message": "error: ValueError: xxx",
    "many-lines": "error: ValueError: first",
    "odd-message": "error: ValueError: ",
    "exits-politely": "crash: exit code 3",
    "interrupts": "crash: exit code 1",
    "base-exception": "crash: exit code 1",
    "recurses": "error: RecursionError: maximum recursion depth exceeded",
    "prints": "",
    "leaks": "",
    "stays": "",
    "changes-folder": "",
    "changes-precision": "",
    "empty": "contract: restore returned shape (0, 3, 16, 16), not (1, 3, 16, 16)",
    "list": "contract: restore returned list, expected a torch.Tensor",
    "half": "contract: restore returned torch.float16, expected torch.float32",
    "tracks-gradients": "",
    "aborts": "crash: SIGABRT",
    "stops": "timeout: more than 5 s for one image",
}


ALONE = {
    "takes-all-descriptors": "",
    "closes-pipes": "crash: ",
    "writes-into-pipes": "contract: its process sent what is no answer",
    "announces": "contract: its process sent what is no answer",
    "patches": "",
    "hogs": "out-of-memory: ",
}
"""These spoil a process for whoever comes after: on the CPU a worker is kept for the next plugin."""


@pytest.fixture(scope="module")
def kept():
    """Reasons by restorer of the one run, made by the first test that asks."""
    return {}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_rude_restorer_costs_its_own_images(run, kept, name, observe):
    if not kept:
        result, _ = run(
            ["identity", *EXPECTED, {"name": "identity", "label": "last"}],
            plugins=("rude.py",),
            limits={"image_seconds": 5},
            settings={"request": Request(limit=1)},
        )
        table = result.tables.records
        kept.update(zip(table.restorer, table.reason, strict=True))
    reason = kept[name]
    observe("failure" if reason else "fine", reason or "restored and scored")
    assert reason.startswith(EXPECTED[name]) and bool(reason) == bool(EXPECTED[name])
    assert len(reason) < 2000 and "\n" not in reason
    assert kept["identity"] == kept["last"] == ""


@pytest.mark.parametrize("name", ALONE)
def test_a_restorer_that_spoils_its_process_is_a_failure_or_harmless(run, name, observe, monkeypatch):
    plain = subprocess.Popen
    limit = (4 * 2**30, resource.RLIM_INFINITY)  # of address space, or the hog would take the machine's memory

    def limited(*given, **named):
        return plain(*given, **named, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, limit))

    if name == "hogs":
        monkeypatch.setattr(child.subprocess, "Popen", limited)
    result, _ = run([name], plugins=("rude.py",), settings={"request": Request(limit=1)})
    (reason,) = result.tables.records.reason
    observe("failure" if reason else "fine", reason or "restored and scored")
    assert reason.startswith(ALONE[name])
