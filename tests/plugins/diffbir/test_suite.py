"""The suite that runs every stage of the generative restorers with tiny random networks."""

from __future__ import annotations

import pytest

import restorebench


@pytest.mark.slow
@pytest.mark.timeout(1800)  # seconds alone, minutes where the machine is busy
def test_every_stage_of_diffbir_reaches_the_leaderboard(tmp_path):
    for library in ("diffusers", "transformers", "spandrel"):
        pytest.importorskip(library, reason="the suite needs the extra [diffbir]")
    result = restorebench.run("generative-miniature", tasks=["noisy"], limit=1, workers=0, out=tmp_path / "run")
    board = result.tables.leaderboard
    ours = board[board["restorer"].str.startswith("diffbir")]
    assert {*ours["restorer"]} == {"diffbir-stage1", "diffbir", "diffbir-v2.1-windows"}
    assert (ours["failed"] == 0).all()
    assert ours["psnr@rgb"].nunique() >= 3
