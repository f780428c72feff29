"""One small site for all tests that only read it."""

from __future__ import annotations

import pytest

from restorebench.site.build import build
from tests.host.site.made import HOSTILE, publish_made
from tests.publishing import ROWS

ROWS_AND_HOSTILE = {**ROWS, HOSTILE: 1.0}


@pytest.fixture(scope="session")
def made_site(tmp_path_factory):
    """A site of two boards: one with hostile names and some captured images, one without images."""
    folder = tmp_path_factory.mktemp("site")
    publish_made(
        folder / "results",
        rows=ROWS_AND_HOSTILE,
        suite="a-board",
        version="10",
        captured=8,
        detectors=("seer", HOSTILE),
        yardsticks=("alike",),
        description=f"A board with `code` and {HOSTILE}.",
    )
    publish_made(folder / "results", suite="a-board", version="9", images=0, detectors=(), clean=False)
    build(folder / "results", folder / "public")
    return folder / "public"
