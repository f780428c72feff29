"""No page has a serious or critical violation of the rules of axe-core, in either theme, on a desk or a phone."""

from __future__ import annotations

import pytest

from tests.host.site.test_browser import BOARD, GALLERY

sync_playwright = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="needs axe-core: pip install axe-playwright-python"
)

PAGES = {
    "front": "index.html",
    "board": BOARD,
    "method": "methods/good.html",
    "detector": "detectors/seer.html",
    "gallery": GALLERY,
}
GRAVE = ("serious", "critical")


def violations(page):
    """What axe finds on a page: the rule, its impact, and the first elements that break it."""
    found = sync_playwright.Axe().run(page).response["violations"]
    return [(each["id"], each["impact"], [node["target"] for node in each["nodes"]][:3]) for each in found]


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_grave_violation(opened, name, scheme, width):
    page = opened(PAGES[name], width=width, color_scheme=scheme)
    found = violations(page)
    assert [each for each in found if each[1] in GRAVE] == []


def _every_task(page):
    page.select_option("#place", "all")


def _no_row(page):
    page.fill("#name", "nobody")


def _other_theme(page):
    page.click("#theme")


def _blink(page):
    page.check("input[value=blink]")


def _difference(page):
    page.check("input[value=difference]")


def _beside(page):
    page.check("input[value=both]")


def _details(page):
    for each in page.locator("summary").all():
        each.click()


@pytest.mark.parametrize(
    ("path", "act"),
    [
        *((BOARD, act) for act in (_every_task, _no_row, _other_theme)),
        *((GALLERY, act) for act in (_blink, _difference, _beside)),
        *((PAGES[name], _details) for name in ("method", "detector")),
        ("methods/index.html", lambda page: None),
        ("detectors/index.html", lambda page: None),
        ("boards/a-board/9/gallery.html", lambda page: None),
    ],
)
def test_what_a_reader_does_breaks_no_rule_either(opened, path, act):
    page = opened(path, width=390)
    act(page)
    assert [each for each in violations(page) if each[1] in GRAVE] == []


def test_a_grave_violation_is_noticed(opened):
    page = opened("index.html")
    page.evaluate("document.querySelector('h1').style.color = '#ccc'; document.body.append(new Image())")
    page.evaluate("document.documentElement.lang = ''")
    found = {rule for rule, impact, _ in violations(page) if impact in GRAVE}
    assert {"color-contrast", "image-alt", "html-has-lang"} <= found
