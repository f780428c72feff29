"""The pages of a site in a browser, opened from files: sorting, filtering, the slider, themes, small screens."""

from __future__ import annotations

import io
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from restorebench.site import figures
from restorebench.site.build import build
from tests.host.site.made import publish_made
from tests.publishing import PSNR

pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")

BOARD = "boards/a-board/10/index.html"
GALLERY = "boards/a-board/10/gallery.html"
MANY = 2000


def shown(page, cell="th"):
    """The text of a cell of every visible row of a board."""
    return page.eval_on_selector_all(
        f"#rows tbody tr:not([hidden]) {cell}", "found => found.map(each => each.innerText.trim())"
    )


def test_every_page_opens_without_errors_and_fits_a_phone(opened, made_site):
    found = [path.relative_to(made_site).as_posix() for path in made_site.rglob("*.html")]
    assert len(found) >= 12
    page = opened("index.html", width=390)
    for path in found:
        page.goto(f"{made_site.as_uri()}/{path}".replace("~", "%7E"))
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= 390, f"{path} is {width} px wide"


def test_a_click_on_a_head_sorts_and_says_so(opened):
    page = opened(BOARD)
    scores = [float(each) for each in shown(page, ".score")]
    assert len(scores) > 3 and scores == sorted(scores, reverse=True)
    assert page.get_attribute("th[data-key=score]", "aria-sort") == "descending"
    page.click("th[data-key=score] button")
    assert [float(each) for each in shown(page, ".score")] == sorted(scores)
    assert page.get_attribute("th[data-key=score]", "aria-sort") == "ascending"
    page.focus("th[data-key=name] button")
    page.keyboard.press("Enter")
    names = shown(page)
    assert names == sorted(names, key=str.casefold)
    assert page.get_attribute("th[data-key=score]", "aria-sort") is None


def test_rows_are_filtered_by_task_name_family_and_captured_images(opened):
    page = opened(BOARD)
    page.select_option("#place", label="rainy")
    assert set(shown(page, "td.task")) <= {"rainy", ""} and len(shown(page)) == 5
    page.fill("#name", "GOOD")
    assert [each.split("\n")[0] for each in shown(page)] == ["good#", "good#"]
    page.select_option("#family", "told")
    assert len(shown(page)) == 1
    page.fill("#name", "")
    page.select_option("#family", "all")
    page.check("#captured")
    assert set(shown(page, "td.task")) == {"Average, captured images only"}
    assert page.inner_text("#count").startswith("5 rows of ")


def test_every_task_has_its_own_order_and_scale(opened):
    page = opened(BOARD)
    page.select_option("#place", "all")
    tasks, scores = shown(page, "td.task"), [float(each) for each in shown(page, ".score")]
    assert len(set(tasks)) == 5 and len(scores) == 25
    for task in set(tasks):
        held = [score for name, score in zip(tasks, scores, strict=True) if name == task]
        assert len(held) == 5 and held == sorted(held, reverse=True)
        assert tasks.index(task) + 4 == len(tasks) - 1 - tasks[::-1].index(task)  # they stand together
    assert page.locator("#rows tbody svg.ci").count() == 25
    lefts = page.eval_on_selector_all(
        "#rows svg.ci line", "all => all.map(line => Number(line.getAttribute('x1')))"
    )
    rights = page.eval_on_selector_all(
        "#rows svg.ci line", "all => all.map(line => Number(line.getAttribute('x2')))"
    )
    assert min(lefts) >= 0 and max(rights) <= 150 and all(a <= b for a, b in zip(lefts, rights, strict=True))


def test_without_javascript_every_row_and_image_is_there(opened):
    page = opened(BOARD, java_script_enabled=False)
    assert page.locator("#rows tbody tr").count() == 25
    assert all(row.is_visible() for row in page.locator("#rows tbody tr").all())
    page = opened(GALLERY, java_script_enabled=False)
    assert page.locator("noscript a").first.is_visible()


def test_a_board_without_metrics_can_be_filtered_and_its_images_compared(opened, tmp_path):
    publish_made(tmp_path / "results", columns=(), detectors=(), clean=False)
    build(tmp_path / "results", tmp_path / "public")
    page = opened("boards/made-up/1/index.html", site=tmp_path / "public")
    page.fill("#name", "alike")
    assert len(shown(page)) == 1
    page = opened("boards/made-up/1/gallery.html", site=tmp_path / "public")
    page.click("#next")
    assert page.locator("#list li").count() == 2


def test_another_metric_shows_its_numbers_best_first(opened):
    page = opened(BOARD)
    before = shown(page, ".score")
    page.select_option("#metric", "1")
    after = shown(page, ".score")
    assert after != before and [float(each) for each in after] == sorted(map(float, after))
    assert page.get_attribute("th[data-key=score]", "aria-sort") == "ascending"  # lower is better
    assert page.locator("#rows tbody tr:not([hidden]) svg.ci").count() == len(after)


def test_a_link_to_a_row_shows_it_whatever_is_filtered(opened):
    page = opened(BOARD)
    hidden = page.eval_on_selector("#rows tbody tr[hidden]", "row => row.id")
    page.evaluate("id => { location.hash = id }", hidden)
    page.wait_for_selector(f"[id='{hidden}']:not([hidden])")
    again = opened(f"{BOARD}#{hidden}")
    assert again.locator(f"[id='{hidden}']").is_visible()


def cut(page):
    return page.eval_on_selector("#stage", "stage => stage.style.getPropertyValue('--cut')")


def test_the_slider_moves_by_mouse_and_by_keyboard(opened):
    page = opened(GALLERY)
    assert cut(page) == "50%"
    page.focus("#slider")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    assert cut(page) == "55%"
    box = page.locator("#stage").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    page.mouse.up()
    assert cut(page) == "25%" and page.input_value("#slider") == "25"
    assert page.eval_on_selector("#over", "over => getComputedStyle(over).clipPath") == "inset(0px 0px 0px 25%)"


def test_images_are_sorted_by_disagreement_and_scores_stand_beside(opened):
    page = opened(GALLERY)
    by = page.eval_on_selector_all("#list span", "all => all.map(each => each.innerText)")
    sizes = [abs(float(each.split()[0].replace("\u2212", "-"))) for each in by]
    assert len(sizes) == 2 and sizes == sorted(sizes, reverse=True)
    a, b, difference = (
        float(each.replace("\u2212", "-"))
        for each in page.eval_on_selector_all(
            "#numbers tr:first-child td", "all => all.map(each => each.innerText)"
        )
    )
    assert difference == pytest.approx(b - a, abs=0.011) and abs(difference) == pytest.approx(sizes[0], abs=1e-9)
    first = page.inner_text("#sample")
    page.click("#next")
    assert page.inner_text("#sample") != first
    assert page.eval_on_selector("#under", "image => image.naturalWidth") == 32


def test_modes_blink_and_show_differences(opened):
    page = opened(GALLERY, reduced_motion="reduce")
    page.check("input[value=blink]")
    assert page.eval_on_selector("#over", "over => getComputedStyle(over).visibility") == "hidden"
    page.click("#swap")
    assert page.eval_on_selector("#over", "over => getComputedStyle(over).visibility") == "visible"
    page.check("input[value=difference]")
    assert page.eval_on_selector("#over", "over => getComputedStyle(over).mixBlendMode") == "difference"
    assert brightest(page) > 100
    page.select_option("#second", page.input_value("#first"))  # a row differs from itself nowhere
    page.wait_for_function("[...document.querySelectorAll('#stage img')].every(image => image.complete)")
    assert brightest(page) == 0


def brightest(page):
    """The largest value of any channel of what the stage shows."""
    picture = Image.open(io.BytesIO(page.locator("#stage").screenshot()))
    width, height = picture.size
    inside = picture.convert("RGB").crop((4, 4, width - 4, height - 4))  # its edges may share pixels with the page
    return int(np.asarray(inside).max())


def test_a_link_to_a_comparison_opens_it_again(opened):
    page = opened(GALLERY)
    page.select_option("#place", label="hazy")
    page.select_option("#second", label="good")
    page.click("#next")
    link, image = page.get_attribute("#permanent", "href"), page.inner_text("#sample")
    again = opened(f"{GALLERY}{link}")
    assert again.inner_text("#sample") == image
    assert again.eval_on_selector("#second", "select => select.selectedOptions[0].text") == "good"
    assert again.eval_on_selector("#place", "select => select.selectedOptions[0].text") == "hazy"


def ground(page):
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_the_theme_follows_the_system_and_the_button(opened):
    dark, light = opened(BOARD, color_scheme="dark"), opened(BOARD, color_scheme="light")
    assert ground(light) == "rgb(255, 255, 255)" != ground(dark)
    light.click("#theme")
    assert ground(light) == ground(dark)
    assert light.get_attribute("#theme", "aria-pressed") == "true"
    light.reload()
    assert ground(light) == ground(dark)  # the choice is kept


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(opened, scheme):
    """At least 4.5 to 1 (WCAG 2.2, 1.4.3) for text, soft text, links and pressed buttons."""
    page = opened(BOARD, color_scheme=scheme)
    names = ("paper", "ink", "soft", "accent", "on-accent", "tint")
    colours = {
        name: page.evaluate("n => getComputedStyle(document.documentElement).getPropertyValue(n)", f"--{name}")
        for name in names
    }
    for front, back in (("ink", "paper"), ("soft", "paper"), ("accent", "paper"), ("on-accent", "accent")):
        assert contrast(colours[front], colours[back]) >= 4.5, (front, back)
    for front in ("ink", "soft", "accent"):
        assert contrast(colours[front], colours["tint"]) >= 4.5, front


def contrast(one, other):
    """The contrast ratio of two colours as WCAG 2.2 defines it."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour):
    digits = colour.strip().removeprefix("#")
    digits = "".join(each * 2 for each in digits) if len(digits) == 3 else digits
    parts = [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.fixture(scope="session")
def large_site(tmp_path_factory):
    """A site whose board has a little more than 2,000 rows, drawn without figures."""
    folder = tmp_path_factory.mktemp("large")
    rows = {"identity": 0.0} | {f"method-{n}": n / 50 for n in range(9)}
    tasks = tuple(f"task-{n}" for n in range(200))
    many = {"rows": rows, "tasks": tasks, "scenes": 2, "severities": (1,), "detectors": (), "images": 0}
    publish_made(folder / "results", **many, columns=(replace(PSNR),), clean=False)
    drawn = pytest.MonkeyPatch()
    drawn.setattr(figures, "can_draw", lambda: False)
    build(folder / "results", folder / "public")
    drawn.undo()
    return folder / "public"


PLAIN = """
() => {
  const began = performance.now(), place = document.createElement("div"), cell = "<td>12.34</td>".repeat(9);
  place.innerHTML = "<table>" + ("<tr>" + cell + "</tr>").repeat(%d) + "</table>";
  document.body.append(place);
  place.getBoundingClientRect();
  const took = performance.now() - began;
  place.remove();
  return took;
}
"""
"""Lays a plain table of as many rows out, and returns the milliseconds that this takes."""


def test_two_thousand_rows_are_used_about_as_quickly_as_a_plain_table(opened, large_site):
    """Opening, every task at once, sorting and filtering, against laying out a plain table of as many rows.

    On two busy cores opening took 0.63 to 0.98 s, 1.5 to 1.8 times as long as the plain table, and the others a
    third of it. The ratio is tested, as a test may run on any machine; the best of three of each.
    """
    steps = {
        "every task": "place.value = 'all'; place.dispatchEvent(new Event('change'))",
        "sort": "document.querySelector('th[data-key=gain] button').click()",
        "filter": "const name = document.getElementById('name'); name.value = 'method-1';"
        " name.dispatchEvent(new Event('input'))",
    }
    page = opened("index.html", site=large_site)
    took = {name: [] for name in ("plain", "open", *steps)}
    for _ in range(3):
        began = time.perf_counter()
        page.goto(f"{large_site.as_uri()}/boards/made-up/1/index.html")
        page.wait_for_selector("#filters:not([hidden])")
        took["open"].append(time.perf_counter() - began)
        took["plain"].append(page.evaluate(PLAIN % MANY) / 1000)
        assert len(shown(page)) == 10
        for name, step in steps.items():
            milliseconds = page.evaluate(
                f"() => {{ const began = performance.now(), place = document.getElementById('place'); {step};"
                " document.body.getBoundingClientRect(); return performance.now() - began; }"
            )
            took[name].append(milliseconds / 1000)
            assert len(shown(page)) == 200
    best = {name: min(seconds) for name, seconds in took.items()}
    print({name: round(seconds, 3) for name, seconds in best.items()})
    assert max(best.values()) < 4 * best["plain"], took
    page.fill("#name", "")
    page.click("#more")
    assert len(shown(page)) == page.locator("#rows tbody tr").count() >= MANY
