"""A site of published folders: its pages say what the tables say, load nothing, and no name does harm."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from restorebench.contract.errors import PublishedFolderError, RestorebenchError, RunFolderError
from restorebench.journal.layout import safe_name
from restorebench.publishing.folder import read_published
from restorebench.publishing.layout import MANIFEST
from restorebench.site import figures
from restorebench.site.build import build
from restorebench.site.lines import lines_of
from restorebench.site.links import dead_links
from restorebench.toolbox.cells import visible
from tests.host.site.made import HOSTILE, publish_made, seal

BOARD = "boards/a-board/10/index.html"


class Page(HTMLParser):
    """What a page is made of: its elements with their attributes, and its text outside scripts."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.text, self._inside = [], "", []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._inside.append(tag)

    def handle_data(self, data):
        if self._inside[-1:] != ["script"]:
            self.text += data

    def of(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


def pages(site):
    return {path.relative_to(site).as_posix(): Page(path) for path in site.rglob("*.html")}


def scores_in(path):
    found = re.search(r'<script type="application/json" id="scores">(.*?)</script>', path.read_text())
    return json.loads(found[1])


def test_every_row_shows_the_means_and_intervals_of_leaderboard_csv(made_site):
    payload = scores_in(made_site / BOARD)
    table = pd.read_csv(made_site / "boards/a-board/10/files/leaderboard.csv")
    names = [column["name"] for column in payload["columns"]]
    assert names == ["psnr@rgb", "lpips@rgb"]
    assert len(payload["rows"]) == len(table) > 15
    for line in table.to_dict("records"):
        shown = payload["rows"][f"row-{safe_name(line['digest'])}"]
        for name, score in zip(names, shown, strict=True):
            published = [line[name], line[f"{name}_low"], line[f"{name}_high"]]
            held = [None] * 3 if score is None else score[:3]
            assert [np.nan if each is None else each for each in held] == pytest.approx(
                published, abs=1e-6, nan_ok=True
            )


def test_best_rows_are_those_that_comparisons_csv_shows_nobody_to_be_better_than(made_site):
    """Counted anew from the pairs: a blind row is best if it loses no separated pair of its family."""
    payload = scores_in(made_site / BOARD)
    folder = made_site / "boards/a-board/10/files"
    table, pairs = pd.read_csv(folder / "leaderboard.csv"), pd.read_csv(folder / "comparisons.csv")
    pairs = pairs[(pairs.family == "blind") & (pairs.column == "psnr@rgb") & (pairs.task == "rainy")]
    assert pairs.separated.any()
    lost = {
        row.b if row.difference > 0 else row.a
        for row in pairs[pairs.separated.astype(bool)].itertuples(index=False)
    }
    rows = table[(table.task == "rainy") & (table.family == "blind")]
    assert len(rows) == 3
    for row in rows.itertuples(index=False):
        best = payload["rows"][f"row-{safe_name(row.digest)}"][0][3]
        assert best == (row.restorer not in lost), row.restorer


def test_no_link_of_a_made_site_is_dead(made_site):
    assert dead_links(made_site) == []


@pytest.mark.parametrize(
    ("link", "why"),
    [
        ("nowhere.html", "no such file"),
        ("methods", "no such file"),
        ("../outside.html", "out of the site"),
        ("/index.html", "out of the site"),
        ("index.html#nothing", "no such place"),
        ("#nothing", "no such place"),
    ],
)
def test_a_dead_link_is_found(tmp_path, link, why):
    (tmp_path / "methods").mkdir()
    (tmp_path / "index.html").write_text(f'<a href="index.html#there"></a><a href="{link}"></a><p id="there">')
    (found,) = dead_links(tmp_path)
    assert found.link == link and why in found.why


def test_what_a_page_would_load_from_elsewhere_is_found_and_links_elsewhere_are_not(tmp_path):
    (tmp_path / "index.html").write_text('<a href="https://a.org"></a><img src="https://b.org/x.png">')
    assert [each.link for each in dead_links(tmp_path)] == ["https://b.org/x.png"]


def test_check_prints_dead_links_and_exits_with_3(call, made_site, tmp_path):
    assert call("site", "--check", made_site)[0] == 0
    (tmp_path / "index.html").write_text('<a href="gone.html"></a>')
    code, out, _ = call("site", "--check", tmp_path)
    assert code == 3 and out == "index.html: gone.html: no such file\n"
    code, _, error = call("site", "--check", tmp_path / "none")
    assert code == 2 and "no index.html" in error


@pytest.mark.faults
def test_hostile_names_are_shown_and_do_nothing(made_site):
    """No script but those of the site, no handler, and the name itself is on the pages as text."""
    shown = visible(HOSTILE)
    found = pages(made_site)
    assert any(shown in page.text for name, page in found.items() if name.startswith("methods/"))
    assert any(shown in page.text for name, page in found.items() if name.startswith("detectors/"))
    assert shown in found[BOARD].text and shown in found["index.html"].text
    for name, page in found.items():
        for attrs in page.of("script"):
            assert attrs.get("type") == "application/json" or attrs["src"].rpartition("assets/")[1], name
        for _, attrs in page.elements:
            assert not [key for key in attrs if key.startswith("on") or key == "style"], name


def test_every_page_forbids_everything_from_elsewhere(made_site):
    for name, page in pages(made_site).items():
        (policy,) = [m["content"] for m in page.of("meta") if m.get("http-equiv") == "Content-Security-Policy"]
        assert policy.startswith("default-src 'none'"), name
        assert not re.search(r"unsafe|https?:|\*", policy), name


def test_every_page_has_landmarks_one_heading_and_table_heads_with_scope(made_site):
    for name, page in pages(made_site).items():
        tags = [tag for tag, _ in page.elements]
        assert {tag: tags.count(tag) for tag in ("main", "nav", "h1", "footer")} == dict.fromkeys(
            ("main", "nav", "h1", "footer"), 1
        ), name
        assert all(attrs.get("scope") in ("col", "row") for attrs in page.of("th")), name
        ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
        assert len(ids) == len(set(ids)), name


def test_the_newest_version_comes_first(made_site):
    text = (made_site / "index.html").read_text()
    assert text.index("version 10") < text.index("version 9")


def test_captured_images_can_be_filtered_only_where_there_are_some(made_site):
    assert 'id="captured"' in (made_site / BOARD).read_text()
    assert 'id="captured"' not in (made_site / "boards/a-board/9/index.html").read_text()


def test_a_gallery_without_images_says_how_to_get_them(made_site):
    page = Page(made_site / "boards/a-board/9/gallery.html")
    assert "--save all" in page.text and not page.of("script")[1:]


def test_a_gallery_names_whom_to_credit_and_lists_every_image(made_site):
    text = (made_site / "boards/a-board/10/gallery.html").read_text()
    payload = json.loads(re.search(r'id="gallery">(.*?)</script>', text)[1])
    files = [file for place in payload["places"] for s in place["samples"] for file in s["files"]]
    assert len(files) == len(set(files)) == 3 * 2 * 5  # tasks with clean, samples, rows
    assert "somebody &lt;script&gt;" in text
    published = read_published(made_site / "boards/a-board/10/files")
    cell = published.cells[0]
    (rainy,) = [place for place in payload["places"] if place["label"] == "rainy"]
    scores = rainy["samples"][0]["scores"][0]
    assert scores[0] == pytest.approx(cell.outcomes.scores["psnr@rgb"][0], abs=1e-6)


def test_a_method_page_says_where_it_wins_and_what_it_does_to_clean_images(made_site):
    page = Page(made_site / "methods/good.html")
    assert "1,234,567" in page.text
    assert re.search(r"In the best group\s*rainy, hazy", page.text)
    assert "What it does to clean images" in page.text
    worse = Page(made_site / "methods/identity.html")
    assert re.search(r"Behind another row\s*rainy, hazy", worse.text)
    assert "behind good" in worse.text


def test_a_board_shows_what_its_detectors_achieve_as_detectors_csv_does(made_site):
    table = pd.read_csv(made_site / "boards/a-board/10/files/detectors.csv")
    (average,) = table[(table.detector == "seer") & (table.task == "average")].to_dict("records")
    (clean,) = table[(table.detector == "seer") & (table.task == "clean")].to_dict("records")
    page = (made_site / "boards/a-board/10/index.html").read_text()
    part = page[page.index('id="detectors"') :]
    row = part[part.index("detectors/seer.html") :].partition("</tr>")[0]
    for share in (average["accuracy"], average["accuracy_low"], average["accuracy_high"], clean["false_alarm"]):
        assert f"{share:.0%}".replace("%", "\u00a0%") in row.replace(" %", "\u00a0%")
    assert 'id="detectors"' not in (made_site / "boards/a-board/9/index.html").read_text()


def test_a_detector_page_counts_what_confusion_csv_counts(made_site):
    table = pd.read_csv(made_site / "boards/a-board/10/files/confusion.csv")
    rows = table[(table.detector == "seer") & (table.task == "hazy")]
    text = (made_site / "detectors/seer.html").read_text()
    line = re.search(r'<tr><th scope="row">hazy</th>(<td class="s.*?)</tr>', text)[1]
    counts = [int(each) for each in re.findall(r">(\d+)<", line)]
    assert sorted(counts) == sorted(rows.images) and sum(counts) == 16


def test_a_detector_page_bins_what_detections_csv_predicts(made_site):
    table = pd.read_csv(made_site / "boards/a-board/10/files/detections.csv")
    rows = table[(table.detector == "seer") & (table.task != "clean")]
    assert set(rows["probability of rainy"]) == {0.5} and len(rows) == 32
    text = (made_site / "detectors/seer.html").read_text()
    line = re.search(r'<tr><th scope="row">0.5 to 0.6</th>(.*?)</tr>', text)[1]
    right = (rows.task == "rainy").mean()
    shown = re.sub(r"<[^>]*>", " ", line).split()
    assert shown[:3] == ["0.500", f"{right * 100:.0f}", "%"] and shown[-1] == "32"


def _with_detections(folder, change):
    """Change the table of detections as who published it could."""
    path = folder / "detections.csv"
    change(table := pd.read_csv(path, dtype=str, keep_default_na=False))
    table.to_csv(path, index=False)
    seal(folder)


def _blank(table):
    table["probability of rainy"] = ""


def _half_blank(table):
    table.loc[table.task == "rainy", "probability of rainy"] = ""


def test_a_detector_without_probabilities_has_no_curve_and_the_page_says_why(tmp_path):
    folder = publish_made(tmp_path / "results", images=0, clean=False)
    _with_detections(folder, _blank)
    build(tmp_path / "results", tmp_path / "public")
    page = Page(tmp_path / "public/detectors/seer.html")
    said = " ".join(page.text.split())
    assert "no reliability curve: detections.csv holds no probability for any of 32 degraded images." in said
    assert not page.of("figure")


def test_images_without_probabilities_are_counted(tmp_path):
    folder = publish_made(tmp_path / "results", images=0, clean=False)
    _with_detections(folder, _half_blank)
    build(tmp_path / "results", tmp_path / "public")
    said = " ".join(Page(tmp_path / "public/detectors/seer.html").text.split())
    assert "Of 32 degraded images, 16 have probabilities in detections.csv" in said


def test_without_the_extra_a_detector_page_has_the_numbers_of_the_curve(tmp_path, monkeypatch):
    publish_made(tmp_path / "results", images=0, clean=False)
    monkeypatch.setattr(figures, "can_draw", lambda: False)
    build(tmp_path / "results", tmp_path / "public")
    page = Page(tmp_path / "public/detectors/seer.html")
    assert "The curve is not drawn, because the extra" in page.text and "0.5 to 0.6" in page.text
    assert all("open" in attrs for attrs in page.of("details"))


def test_the_curve_is_drawn_with_the_extra_and_by_plot_of_a_published_folder(made_site, call):
    pytest.importorskip("vl_convert")
    page = Page(made_site / "detectors/seer.html")
    assert len(page.of("figure")) == 1
    assert len([attrs for attrs in page.of("svg") if attrs.get("role") == "img"]) == 2  # wide and narrow
    folder = made_site.parent / "results/a-board/10"
    assert call("plot", "reliability", folder, "--rows", "seer", "-o", "seer.json")[0] == 0
    code, _, error = call("plot", "reliability", folder, "--rows", "sear", "-o", "sear.json")
    assert code == 2 and "no detector 'sear' (nearest: seer" in error


@pytest.mark.faults
@pytest.mark.parametrize("text", ["2", "-0.1", "nan", "inf", "high"])
def test_a_probability_that_is_none_is_refused(tmp_path, text):
    def change(table):
        table.loc[0, "probability of rainy"] = text

    folder = publish_made(tmp_path / "results", images=0, clean=False)
    _with_detections(folder, change)
    with pytest.raises(PublishedFolderError, match=f"detections.csv: .*{text}"):
        build(tmp_path / "results", tmp_path / "public")


def test_latex_bibtex_and_every_published_file_can_be_downloaded(made_site):
    folder = made_site / "boards/a-board/10"
    links = {attrs["href"] for attrs in Page(folder / "index.html").of("a") if "download" in attrs}
    files = {f"files/{p.name}" for p in (folder / "files").iterdir() if p.is_file()}
    assert files | {"citations.bib", "latex/leaderboard.tex", "latex/leaderboard-psnr_rgb.tex"} <= links
    assert "\\toprule" in (folder / "latex/leaderboard-psnr_rgb.tex").read_text()
    assert "identity (restorer): its card has no citation" in (folder / "citations.bib").read_text()


def test_a_run_is_published_and_shown_with_its_images_and_whom_to_credit(call, tmp_path):
    """The one test with a real run, of a bundled photograph; what pages say of images comes from the manifest."""
    options = "{clean: embedded, crop: 32, severities: [3]}"
    (tmp_path / "tiny.yaml").write_text(
        f"suite: tiny\nversion: '1'\ndatasets: [{{name: synthetic, options: {options}}}]\ntasks: [noisy]\n"
        "restorers: [identity, {name: classical, tell: task}]\nmetrics: [psnr]\nsave: all\nclean_inputs: false\n"
    )
    assert call("run", "tiny.yaml", "--device", "cpu", "-q")[0] == 0
    assert call("publish", "runs/tiny")[0] == 0
    code, out, _ = call("site", "results", "--title", "My <results>")
    assert (code, out) == (0, "public/index.html\n")
    site = tmp_path / "public"
    assert dead_links(site) == []
    gallery = (site / "boards/tiny/1/gallery.html").read_text()
    assert "NASA (astronaut)" in gallery and gallery.count(".webp") >= 12
    assert "My &lt;results&gt;" in gallery
    assert "A classical method per task told" in (site / "methods/classical.html").read_text()


def test_the_same_folders_give_the_same_site(made_site, tmp_path):
    build(made_site.parent / "results", tmp_path / "again")
    files = {path.relative_to(made_site): path.read_bytes() for path in made_site.rglob("*") if path.is_file()}
    again = tmp_path / "again"
    assert files == {path.relative_to(again): path.read_bytes() for path in again.rglob("*") if path.is_file()}


@pytest.fixture
def results(tmp_path):
    publish_made(tmp_path / "results", rows={"identity": 0.0, "good": 3.0}, images=0, detectors=(), clean=False)
    return tmp_path / "results"


def test_figures_are_left_out_with_a_note_without_the_extra(results, tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "can_draw", lambda: False)
    site = build(results, tmp_path / "public")
    assert "restorebench[report]" in site.notes[0]
    page = Page(tmp_path / "public/boards/made-up/1/index.html")
    assert "restorebench[report]" in page.text and not page.of("figure")


def test_figures_are_drawn_with_the_extra(made_site):
    pytest.importorskip("vl_convert")
    page = Page(made_site / BOARD)
    kinds = {attrs.get("id") for attrs in page.of("figure")}
    assert kinds == {f"figure-{kind}" for kind in ("gains", "severity", "cost", "confusion")}
    assert "Not drawn: radar (a radar needs three tasks, and there are 2" in page.text


def test_a_large_board_draws_its_averages_and_its_first_rows(tmp_path):
    pytest.importorskip("vl_convert")
    rows = {"identity": 0.0} | {f"method-{n}": n / 10 for n in range(15)}
    tasks = tuple(f"task-{n}" for n in range(13))
    small = {"scenes": 6, "severities": (1,), "images": 0, "detectors": (), "clean": False}
    publish_made(tmp_path / "results", rows=rows, tasks=tasks, **small)
    build(tmp_path / "results", tmp_path / "public")
    page = Page(tmp_path / "public/boards/made-up/1/index.html")
    assert "8 of 16 rows, as on the front page." in page.text
    assert "On average over the tasks; restorebench plot gains FOLDER draws each." in page.text


def test_a_picture_with_a_script_is_refused():
    with pytest.raises(RestorebenchError, match="script"):
        figures.inline('<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>', "a", "")
    drawn = figures.inline('<svg xmlns="http://www.w3.org/2000/svg"><rect id="x" onclick="y"/></svg>', "a", "<b>")
    assert "onclick" not in drawn and 'id="a-x"' in drawn and "&lt;b&gt;" in drawn


def test_a_board_without_rows_has_a_page(tmp_path):
    publish_made(tmp_path / "results", rows={}, images=0)
    build(tmp_path / "results", tmp_path / "public")
    assert "This board has no rows" in (tmp_path / "public/boards/made-up/1/index.html").read_text()
    assert dead_links(tmp_path / "public") == []


def test_a_site_takes_the_place_of_the_one_before_and_leaves_other_files(results, tmp_path):
    out = tmp_path / "public"
    publish_made(tmp_path / "results", suite="old", images=0, detectors=())
    build(results, out)
    (out / "CNAME").write_text("example.org")
    (out / ".git/refs").mkdir(parents=True)
    for path in sorted((tmp_path / "results/old").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    build(results, out)
    assert not (out / "boards/old").exists()
    assert (out / "CNAME").exists() and (out / ".git/refs").is_dir() and (out / "boards/made-up").is_dir()
    assert list(tmp_path.glob(".public*")) == []


@pytest.mark.faults
def test_a_folder_that_is_no_site_is_not_written_into(results, tmp_path):
    (tmp_path / "public").mkdir()
    (tmp_path / "public/thesis.txt").write_text("all of it")
    with pytest.raises(RunFolderError, match="holds no site"):
        build(results, tmp_path / "public")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="is a file"):
        build(results, tmp_path / "file")
    with pytest.raises(RunFolderError, match="inside each other"):
        build(results, results / "made-up/1/public")
    with pytest.raises(RunFolderError, match="inside each other"):
        build(results, tmp_path)


@pytest.mark.faults
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nothing", "is no folder"),
        (".", "has no SUITE/VERSION"),
        ("results/made-up", "give .*results"),
        ("results/made-up/1", "give .*results"),
        ("runs", "runs/one is not published.*restorebench publish"),
    ],
)
def test_another_folder_is_refused_with_the_one_to_give(results, tmp_path, given, said):
    (tmp_path / "empty").mkdir()
    (tmp_path / "runs/one").mkdir(parents=True)
    (tmp_path / "runs/one" / MANIFEST).write_text("{}")
    with pytest.raises(PublishedFolderError, match=said):
        build(tmp_path / given if given != "." else tmp_path / "empty", tmp_path / "public")


@pytest.mark.faults
def test_a_changed_file_is_refused(results, tmp_path):
    path = results / "made-up/1/records.csv"
    path.write_text(path.read_text().replace("ok", "fine", 1))
    with pytest.raises(PublishedFolderError, match=r"records\.csv is not what its checksum says"):
        build(results, tmp_path / "public")
    assert not (tmp_path / "public").exists()


@pytest.mark.faults
@pytest.mark.parametrize(
    ("key", "value", "place"),
    [
        ("cells", 3, "cells"),
        ("suite", {"suite": "a", "datasets": [{"name": "b"}], "description": []}, "suite.description"),
        ("columns", {"a": {}}, "columns.a"),
        ("detector_cells", [{"name": "x"}], "detector_cells.0"),
        ("images", {"credits": "x"}, "images"),
    ],
)
def test_a_manifest_of_another_form_is_refused_with_its_place(results, tmp_path, key, value, place):
    path = results / "made-up/1" / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    seal(path.parent)
    with pytest.raises(PublishedFolderError, match=f"{re.escape(str(path))}.*{re.escape(place)}"):
        build(results, tmp_path / "public")


@pytest.mark.faults
def test_a_page_in_a_published_folder_is_left_out_and_a_link_out_of_it_refused(results, tmp_path):
    folder = results / "made-up/1"
    (folder / "page.html").write_text("<script>alert(1)</script>")
    seal(folder)
    assert any("page.html" in note for note in build(results, tmp_path / "public").notes)
    assert not list((tmp_path / "public").rglob("page.html"))
    (tmp_path / "secret.csv").write_text("secret")
    (folder / "extra.csv").symlink_to(tmp_path / "secret.csv")
    seal(folder)
    with pytest.raises(PublishedFolderError, match="link out of the folder"):
        build(results, tmp_path / "public")


def test_intervals_are_placed_on_one_line_by_their_values():
    """0 to 10 hold everything here, so that a value is a tenth of itself; what goes far beyond is cut."""
    lines, zero = lines_of([(4.0, 2.0, 6.0), (8.0, None, None), (10.0, 9.0, 10.0)], holding=(0.0,))
    assert zero == [0.0]
    assert [(line.low, line.at, line.high) for line in lines] == [
        (0.2, 0.4, 0.6),
        (0.8, 0.8, 0.8),
        (0.9, 1.0, 1.0),
    ]
    (one, far), _ = lines_of([(0.0, None, None), (1.0, -360.0, 360.0)])
    assert far.cut == (True, True) and (far.low, far.high) == (0.0, 1.0)
    assert one.at == pytest.approx(0.6 / 2.2) and one.cut == (False, False)
    assert lines_of([(5.0, None, None)])[0][0].at == 0.5
