"""One small site for all tests that only read it, and a browser to open its pages in."""

from __future__ import annotations

import os
import shutil

import pytest

from restorebench.site.build import build
from tests.host.site.made import HOSTILE, publish_made
from tests.publishing import ROWS

NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    *("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--no-first-run", "--no-default-browser-check", "--disable-default-apps", "--disable-domain-reliability"),
    *("--host-resolver-rules=MAP * ~NOTFOUND", "--allow-file-access-from-files=false"),
)
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


@pytest.fixture(scope="session")
def browser():
    """Chromium: the one of Playwright, or else of the system. No address outside can be resolved."""
    found = os.environ.get("RESTOREBENCH_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
    with sync_api.sync_playwright() as playwright:
        try:
            launched = playwright.chromium.launch(executable_path=found, args=list(QUIET))
        except sync_api.Error as error:
            pytest.skip(f"needs Chromium: {str(error).splitlines()[0]}")
        yield launched
        launched.close()


@pytest.fixture
def opened(browser, made_site):
    """Open a page of the site: `opened(path, width=1440)`. Every request must be for a file, and none may fail."""
    contexts, wrong = [], []

    def carry_out(path, width=1440, site=made_site, **how):
        context = browser.new_context(viewport={"width": width, "height": 900}, **how)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on(
            "request", lambda request: wrong.append(request.url) if not request.url.startswith("file:") else None
        )
        page.on("requestfailed", lambda request: wrong.extend(_failure(request)))
        page.goto(f"{site.as_uri()}/{path}")
        return page

    yield carry_out
    for context in contexts:
        context.close()
    assert wrong == []


def _failure(request):
    """What is wrong with a request that failed; nothing if the test went to another page meanwhile."""
    return [] if request.failure == "net::ERR_ABORTED" else [f"{request.failure}: {request.url}"]
