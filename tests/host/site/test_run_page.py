"""The pages of one run that is not published: what a site says of it, with a mark that it is not."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import restorebench
from restorebench.publishing.layout import CHECKSUMS
from restorebench.site.build import build
from restorebench.site.links import dead_links
from tests.host.site.made import publish_made
from tests.host.site.test_site import pages, scores_in

MARK = "Not published, not verified."
SUITE = """
suite: tiny
version: "1"
datasets: [{name: paired-folder, options: {path: pairs}}]
tasks: [noisy]
restorers: [identity, {name: classical, tell: task}]
metrics: [psnr]
save: all
clean_inputs: false
"""


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A folder with a finished run of two rows on seven pairs of a folder, below `run`, and its suite."""
    folder = tmp_path_factory.mktemp("run-page")
    rng = np.random.default_rng(0)
    for number in range(7):
        clean = np.full((16, 16, 3), 30 * (number + 1), dtype=np.uint8)
        noisy = np.clip(clean + rng.normal(0, 20, clean.shape), 0, 255).astype(np.uint8)
        for name, pixels in (("GT", clean), ("LQ", noisy)):
            (folder / "pairs/noisy" / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / "pairs/noisy" / name / f"{number}.png")
    (folder / "tiny.yaml").write_text(SUITE)
    restorebench.run(str(folder / "tiny.yaml"), out=folder / "run", workers=0, device="cpu")
    return folder


@pytest.fixture
def run(finished, tmp_path):
    """A copy of the run that a test may change."""
    shutil.copytree(finished / "run", tmp_path / "run")
    return tmp_path / "run"


def test_a_run_has_a_board_a_gallery_and_method_pages_that_say_it_is_not_published(call, run):
    code, out, error = call("report", "run", "--html", "page")
    assert (code, error) == (0, "")
    assert out.splitlines()[-1] == "page: page/index.html"
    site = run.parent / "page"
    assert dead_links(site) == []
    found = pages(site)
    assert {"index.html", "gallery.html", "methods/classical.html", "detectors/index.html"} <= found.keys()
    for name, page in found.items():
        assert MARK in page.text, name
        assert "from published folders" not in page.text, name
        assert page.text.count("Board\n") == 1 and "Boards\n" not in page.text, name
    table = pd.read_csv(run / "leaderboard.csv")
    held = scores_in(site / "index.html")["rows"].values()
    assert sorted(scores[0][0] for scores in held) == pytest.approx(sorted(table["psnr@rgb"]), abs=1e-6)
    assert list(run.parent.glob(".page*")) == []


def test_images_of_data_that_may_not_be_published_are_shown_and_it_is_said(call, run):
    assert call("report", "run", "--html", "page", "-q")[0] == 0
    images = list((run.parent / "page/files/images").rglob("*.webp"))
    assert len(images) == 2 * 7
    assert "it does not say that they may be published" in (run.parent / "page/gallery.html").read_text()


def test_a_run_that_publish_refuses_has_a_page_that_says_what_is_missing(call, run):
    with sqlite3.connect(run / "run.sqlite") as journal:
        (digest,) = journal.execute("SELECT digest FROM outcomes LIMIT 1").fetchone()
        for table in ("outcomes", "scores"):
            journal.execute(f"DELETE FROM {table} WHERE digest = ? AND sample = '3'", (digest,))
    code, _, error = call("publish", "run", "--incomplete")
    assert code == 2 and "1 image is not run yet" in error
    assert call("report", "run", "--html", "page", "-q")[0] == 0
    found = pages(run.parent / "page")
    assert all("not the whole of its suite: 1 image was not run" in page.text for page in found.values())


def test_a_changed_bundled_suite_has_a_page_although_it_cannot_be_published(call, tmp_path):
    options = ("--tasks", "noisy", "--restorers", "identity,classical", "--limit", "1", "--set", "seed=5")
    assert call("run", "quickstart", *options, "--out", "run", "--device", "cpu", "--workers", "0", "-q")[0] == 0
    code, _, error = call("publish", "run", "--incomplete")
    assert code == 2 and "in the bundled suite quickstart" in error
    assert call("report", "run", "--html", "page", "-q")[0] == 0
    assert "quickstart" in (tmp_path / "page/index.html").read_text()


def test_a_page_takes_the_place_of_the_one_before_and_leaves_other_files(call, run):
    page = run.parent / "page"
    assert call("report", "run", "--html", "page", "-q")[0] == 0
    before = {path: path.read_bytes() for path in page.rglob("*") if path.is_file()}
    (page / "mine.txt").write_text("mine")
    (page / "methods/identity.html").unlink()
    assert call("report", "run", "--html", "page", "-q")[0] == 0
    after = {path: path.read_bytes() for path in page.rglob("*") if path.is_file()}
    assert after == before | {page / "mine.txt": b"mine"}


def test_a_page_may_be_made_inside_its_run_folder(call, run):
    assert call("report", "run", "--html", "run/page", "-q")[0] == 0
    assert call("report", "run", "--html", "run/page", "-q")[0] == 0
    assert dead_links(run / "page") == []


def _full(folder):
    (folder / "page").mkdir()
    (folder / "page/thesis.txt").write_text("all of it")


def _file(folder):
    (folder / "page").write_text("")


def _site(folder):
    publish_made(folder / "results", rows={"identity": 0.0, "good": 3.0}, images=0, detectors=(), clean=False)
    build(folder / "results", folder / "page")


def _damaged(folder):
    (folder / "page").mkdir()
    (folder / "page/site.json").write_text('{"made_by": ["x"], "files": []}')


@pytest.mark.faults
@pytest.mark.parametrize(
    ("there", "said"),
    [
        (_full, "page is not empty and holds no page of a run; give --html another folder"),
        (_file, "page is a file; give --html a folder"),
        (_site, "page holds a site, not a page of a run; give --html another folder"),
        (_damaged, "page/site.json is damaged"),
    ],
)
def test_a_folder_that_holds_something_else_is_refused_before_any_work(call, run, there, said):
    there(run.parent)
    (run / "leaderboard.csv").unlink()
    code, _, error = call("report", "run", "--html", "page")
    assert code == 2 and said in error and error.count("\n") == 1
    assert not (run / "leaderboard.csv").exists()


@pytest.mark.faults
@pytest.mark.parametrize(
    ("html", "said"),
    [
        ("page.html", "a page has files beside it; give a folder, such as page"),
        ("run/leaderboard.csv/page", "leaderboard.csv.*give --html another folder"),
        ("/proc/page", "/proc/.*give --html another folder"),
        (".", "is not empty and holds no page of a run"),
        ("run", "is not empty and holds no page of a run"),
    ],
)
def test_a_place_without_room_for_a_folder_is_refused(call, run, html, said):
    code, _, error = call("report", "run", "--html", html)
    assert code == 2 and error.count("\n") == 1
    assert re.search(said, error)


@pytest.mark.faults
def test_a_folder_without_a_run_and_a_page_in_place_of_a_site_are_refused(call, run, tmp_path):
    (tmp_path / "empty").mkdir()
    code, _, error = call("report", "empty", "--html", "page")
    assert code == 2 and "holds no run" in error and not (tmp_path / "page").exists()
    assert call("report", "run", "--html", "page", "-q")[0] == 0
    publish_made(tmp_path / "results", rows={"identity": 0.0, "good": 3.0}, images=0, detectors=(), clean=False)
    code, _, error = call("site", "results", "-o", "page")
    assert code == 2 and "page holds a page of a run, not a site; give -o another folder" in error


@pytest.mark.faults
@pytest.mark.parametrize("content", [None, b"", b"no image"])
def test_a_saved_image_that_is_gone_or_damaged_is_named(call, run, content):
    image = sorted((run / "outputs").rglob("*.png"))[0]
    image.unlink() if content is None else image.write_bytes(content)
    code, _, error = call("report", "run", "--html", "page", "-q")
    assert code == 2 and error.count("\n") == 1
    assert image.name in error and "which the run saved, cannot be read" in error
    assert not (run.parent / "page").exists()


def test_a_page_says_what_the_published_run_says(call, run):
    """Beside the mark, both have the same tables and files; a published folder has its images and times too."""
    assert call("report", "run", "--html", "page", "-q")[0] == 0
    assert call("publish", "run", "--to", "results")[0] == 0
    site = run.parent / "page/files"
    published = run.parent / "results/tiny/1"
    for path in published.rglob("*.csv"):
        assert (site / path.relative_to(published)).read_bytes() == path.read_bytes(), path
    assert (
        json.loads((site / "manifest.json").read_text()).keys()
        == json.loads((published / "manifest.json").read_text()).keys()
    )
    assert (site / CHECKSUMS).is_file()
