"""`compare --html`: one page that loads nothing: table, drawn intervals, and pictures or the command for them."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from restorebench import compare, run
from tests.host.commands.test_comparing import publish

HOSTILE = '</style><script>alert("1")</script>'
SUITE = f"""
suite: page
tasks: [noisy]
datasets: [{{name: synthetic, options: {{clean: embedded, crop: 32}}}}]
restorers: [identity, {{name: classical, tell: task, label: '{HOSTILE}'}}]
metrics: [psnr]
clean_inputs: false
save: all
"""
VOID = {"meta", "img", "br", "line", "circle", "polygon"}


class Page(HTMLParser):
    """The elements and texts of a page, which must be closed in order."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.texts, self.open = [], [], []
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def every(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def shown(self):
        return " ".join("".join(self.texts).split())


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A small run that saved its outputs."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "suite.yaml").write_text(SUITE)
    run(str(folder / "suite.yaml"), out=folder / "run", device="cpu", workers=0)
    return folder / "run"


def require_alone(page):
    """A page must load nothing and run nothing, whatever the names in it are."""
    assert not {"script", "link", "iframe", "object", "base"} & {tag for tag, _ in page.elements}
    for _, attributes in page.elements:
        assert not {name for name in attributes if name.startswith("on") or name in ("href", "srcset")}
        assert attributes.get("src", "data:image/png;base64,").startswith("data:image/png;base64,")
    assert "url(" not in page.text and "@import" not in page.text


def test_the_page_has_the_comparison_and_the_saved_images(saved, call, tmp_path):
    code, out, error = call("compare", f"{HOSTILE}:task", "identity", saved, "--html", "page.html")
    assert (code, out) == (0, "page.html\n"), error
    page = Page(tmp_path / "page.html")
    require_alone(page)
    assert page.every("meta")[-1]["content"].startswith("default-src 'none'")
    assert f"{HOSTILE}:task against identity" in page.shown
    found = compare(f"{HOSTILE}:task", "identity", saved)
    row = found.pairs.to_dict("records")[0]
    for text in (f"{row['difference']:+.2f}", f"{row['low']:+.2f} to {row['high']:+.2f}", row["verdict"]):
        assert text in page.shown
    images = page.every("img")
    assert len(images) == len(found.images) * 4 * 2  # input, two rows and clean, whole and enlarged
    sizes = [Image.open(io.BytesIO(base64.b64decode(each["src"].partition(",")[2]))).size for each in images]
    assert set(sizes) == {(32, 32), (16, 16)}
    first = np.asarray(Image.open(io.BytesIO(base64.b64decode(images[2]["src"].partition(",")[2]))))
    sample = found.images["sample"][0]
    (file,) = saved.glob(f"outputs/*/noisy/*script*/{sample}.png")
    assert np.array_equal(first, np.asarray(Image.open(file)))


def test_intervals_are_drawn_to_scale_around_zero(tmp_path, call):
    publish(tmp_path / "run")
    assert call("compare", "good", "identity", "run", "--html", "page.html")[0] == 0
    page = Page(tmp_path / "page.html")
    require_alone(page)
    rows = compare("good", "identity", tmp_path / "run").pairs.to_dict("records")
    points = [float(each["cx"]) - 100 for each in page.every("circle")]
    bars = [
        [float(each[end]) - 100 for end in ("x1", "x2")]
        for each in page.every("line")
        if each.get("stroke-width") == "3"
    ]
    assert len(points) == len(bars) == len(rows) == 3
    scale = points[0] / rows[0]["difference"]
    for point, bar, row in zip(points, bars, rows, strict=True):
        assert point == pytest.approx(scale * row["difference"], abs=0.11)
        assert bar == pytest.approx([scale * row["low"], scale * row["high"]], abs=0.11)
    assert max(end for bar in bars for end in bar) == pytest.approx(92, abs=0.06)
    assert not page.every("polygon")


def test_an_interval_that_goes_on_beyond_the_drawing_has_arrows(tmp_path, call):
    publish(tmp_path / "run", {"identity": 0.0, "a": 3.0, "b": 3.001}, images=6)
    assert call("compare", "a", "b", "run", "--task", "snowy", "--html", "page.html")[0] == 0
    page = Page(tmp_path / "page.html")
    row = compare("a", "b", tmp_path / "run", task="snowy").pairs.to_dict("records")[0]
    beyond = [abs(row[end]) > 3 * abs(row["difference"]) for end in ("low", "high")]
    assert any(beyond) and len(page.every("polygon")) == sum(beyond)
    assert "an arrow in a drawing" in page.shown


def test_without_saved_images_the_page_has_the_command(tmp_path, call):
    publish(tmp_path / "run")
    assert call("compare", "good", "alike", "run", "--html", "page.html")[0] == 0
    page = Page(tmp_path / "page.html")
    assert not page.every("img")
    assert "There are no pictures here, because run holds no run (run.sqlite is missing)." in page.shown
    assert "restorebench show run snowy/" in page.shown or "restorebench show run rainy/" in page.shown


def test_a_table_of_any_tool_has_a_page_without_images(tmp_path, call):
    lines = ["method,scene,value"]
    lines += [f"{who},{n},{20 + gain + 0.1 * n}" for who, gain in (("<i>", 1), ("b", 0)) for n in range(5)]
    (tmp_path / "scores.csv").write_text("\n".join(lines))
    code, _, error = call("compare", "<i>", "b", "--table", "scores.csv", "--html", "page.html")
    assert code == 0, error
    page = Page(tmp_path / "page.html")
    require_alone(page)
    assert "<i> against b" in page.shown and "too few scenes: 5" in page.shown
    assert len(page.every("circle")) == 1 and "is ahead the most" not in page.shown


def test_what_could_not_be_compared_is_said(tmp_path, call):
    publish(tmp_path / "run")
    path = tmp_path / "run" / "records.csv"
    path.write_text(
        "".join(line for line in path.read_text().splitlines(keepends=True) if ",12,scene" not in line)
    )
    assert call("compare", "good", "alike", "run", "--html", "page.html")[0] == 0
    shown = Page(tmp_path / "page.html").shown
    assert "Nothing could be compared" in shown and "good: incomplete: 1 of 14 not run" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--html", "page.txt"), "--html page.txt: end the name in .html"),
        (("--html", "none/page.html"), "none is not a folder that can be written"),
        (("--html", "page.html", "--json"), "--html and --json are both given"),
        (("--html", "page.html", "--csv", "x.csv"), "--html and --csv are both given"),
    ],
)
def test_a_page_that_cannot_be_written_is_one_line(tmp_path, call, arguments, message):
    publish(tmp_path / "run")
    code, _, error = call("compare", "good", "alike", "run", *arguments)
    assert code == 2 and message in error and error.count("\n") == 1
    assert not (tmp_path / "page.html").exists()
