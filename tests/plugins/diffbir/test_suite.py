"""The suite that runs every stage of the generative restorers with tiny random networks."""

from __future__ import annotations

import pytest

import restorebench
from restorebench import suite as suites


@pytest.mark.slow
def test_every_generative_restorer_reaches_the_leaderboard(tmp_path):
    for library in ("diffusers", "transformers", "spandrel"):
        pytest.importorskip(library, reason="the suite needs the extra [diffbir]")
    result = restorebench.run("generative-miniature", limit=1, workers=0, out=tmp_path / "run")
    board = result.tables.leaderboard
    labels = {entry.label or entry.name for entry in suites.load("generative-miniature").suite.restorers}
    assert {*board["restorer"]} == labels
    assert len(labels) == 8
    assert (board["failed"] == 0).all()
    assert board["psnr@rgb"].notna().all()
