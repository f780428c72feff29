"""The figures say what the tables say, whatever the rows are called."""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import math
import re
import subprocess
import sys
import xml.etree.ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from restorebench_reports.figures import chosen, cost, images, severity, style
from restorebench_reports.figures.options import (
    BoardOptions,
    ConfusionOptions,
    ImagesOptions,
    RadarOptions,
    ReliabilityOptions,
)

from restorebench import RestorebenchError, UnknownName
from restorebench.contract.catalog import discover
from restorebench.tables.board import Column
from restorebench.tables.published import read_tables
from restorebench.toolbox.options import loaded
from tests.failing import failure
from tests.publishing import LPIPS, PSNR, ROWS, publish

KINDS = ("radar", "gains", "images", "severity", "cost", "confusion")
PAIR = {"images": {"rows": ("good", "alike")}}
HOSTILE = {
    "identity": 0.0,
    "</script><script>alert(1)</script>": 1.0,
    "a'b\"c\\d": 2.0,
    "x" * 300 + "1": 1.5,
    "x" * 300 + "2": 1.6,
    "\u202eevil\x1b[31m": 1.2,
    "字体": 2.2,
    "${datum} {{x}} & % # _": 0.5,
}


def draw(tables, kind, **options):
    """Draw a figure as the command does."""
    return loaded(discover().find("figure", kind), {**PAIR.get(kind, {}), **options}, None).draw(tables)


def values(spec, *fields):
    """Return all data of a figure that have these fields."""
    if isinstance(spec, list):
        return [row for part in spec for row in values(part, *fields)]
    if not isinstance(spec, dict):
        return []
    here = spec["data"]["values"] if "data" in spec else []
    rows = [row for row in here if all(name in row for name in fields)]
    return rows + [row for key, part in spec.items() if key != "data" for row in values(part, *fields)]


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "run"
    publish(folder)
    return read_tables(folder)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("metric", ["psnr", "lpips"])
def test_a_figure_is_valid_vega_lite(tables, kind, metric):
    altair = pytest.importorskip("altair")
    spec = draw(tables, kind, **({} if kind == "confusion" else {"metric": metric}))
    json.dumps(spec, allow_nan=False)
    altair.Chart.from_dict(spec, validate=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_title_says_suite_version_and_number_of_images(tables, kind):
    title = " ".join(draw(tables, kind)["title"]["text"])
    assert title.startswith("made-up (version 1): ")
    assert re.search(r"\b(42|126) images", title)
    assert kind == "confusion" or "psnr@rgb" in title


@pytest.mark.slow
def test_two_processes_draw_the_same_bytes(tmp_path):
    publish(tmp_path / "run")
    code = (
        "import json, sys; from restorebench import plot\n"
        f"for kind in {KINDS!r}:\n"
        "    rows = {'rows': ['good', 'alike']} if kind == 'images' else {}\n"
        "    print(json.dumps(plot(kind, sys.argv[1], options=rows)))"
    )
    found = [
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "run")],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(path for path in sys.path if path)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert found[0] == found[1]
    assert len(found[0].splitlines()) == len(KINDS)


@pytest.mark.parametrize("width", [88, 180])
@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_as_wide_as_asked(tables, kind, width):
    converter = pytest.importorskip("vl_convert")
    picture = converter.vegalite_to_svg(json.dumps(draw(tables, kind, width=width)))
    pixels = float(re.search(r'width="([\d.]+)"', picture)[1])
    assert pixels <= width * 96 / 25.4 + 1
    assert pixels >= 0.55 * width * 96 / 25.4


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile") / "run"
    publish(folder, rows=HOSTILE, scenes=6, detectors=("</script><b>", "z" * 300), columns=(PSNR,))
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_names_break_no_picture_and_no_row_is_lost(hostile, tmp_path, kind):
    converter = pytest.importorskip("vl_convert")
    from restorebench import plot

    rows = {"images": list(HOSTILE)[5:7]}.get(kind, [])
    spec = plot(kind, hostile, tmp_path / "f.html", options={"rows": rows})
    page = (tmp_path / "f.html").read_text()
    assert page.count("</script>") == 2 and "<script>alert" not in page
    picture = converter.vegalite_to_svg(json.dumps(spec))
    texts = [text.text for text in xml.etree.ElementTree.fromstring(picture).iter() if text.text]
    if kind in ("radar", "gains", "severity", "cost"):
        long = [text for text in texts if text.startswith("xxx") and "…" in text]
        assert len(set(long)) == 2  # the two long names still differ
    assert not {"\x1b", "\u202e"} & {*picture}


@pytest.mark.parametrize("kind", ["gains", "images", "severity"])
def test_every_panel_has_its_title_outside_of_what_is_clipped(tables, kind):
    converter = pytest.importorskip("vl_convert")
    root = xml.etree.ElementTree.fromstring(converter.vegalite_to_svg(json.dumps(draw(tables, kind))))
    above = {child: parent for parent in root.iter() for child in parent}
    titles = {}
    for element in root.iter():
        if element.text and element.text.split()[0] in ("rainy", "snowy", "hazy"):
            chain = [element]
            while chain[-1] in above:
                chain.append(above[chain[-1]])
            titles[element.text.split()[0]] = any("clip-path" in each.attrib for each in chain)
    assert titles == dict.fromkeys(("rainy", "snowy", "hazy"), False)


def test_gains_are_those_of_the_leaderboard(tables):
    board = tables.leaderboard
    points = {(point["task"], point["row"]): point for point in values(draw(tables, "gains"), "gain", "group")}
    rows = board[board.task != "clean"].to_dict("records")
    assert len(points) == len(rows) == 16
    for row in rows:
        name = row["restorer"] if row["tell"] == "nothing" else f"{row['restorer']}:{row['tell']}"
        point = points[row["task"], name]
        assert point["gain"] == pytest.approx(row["gain"], abs=1e-6)
        assert point["group"] == (row["group"] if isinstance(row["group"], str) else "")
        assert (point["fill"] != "white") == (row["rank_low"] is not None and row["rank_low"] == 1), name
        for end in ("low", "high"):
            known = row[f"gain_{end}"]
            assert point[end] == (None if known is None or known != known else pytest.approx(known, abs=1e-6))


def test_the_gain_of_a_column_in_which_less_is_better_is_turned(tables):
    points = {point["row"]: point for point in values(draw(tables, "gains", metric="lpips", task="hazy"), "gain")}
    means = tables.leaderboard[tables.leaderboard.task == "hazy"].set_index("restorer")["lpips@rgb"]
    assert points["good"]["gain"] == pytest.approx(means["identity"] - means["good"].iloc[0], abs=2e-6)
    assert points["good"]["gain"] > 0 and points["good"]["low"] > 0


def test_intervals_wider_than_the_axis_end_in_triangles_and_the_axis_is_made_for_the_gains(tmp_path):
    publish(tmp_path / "run", rows={"identity": 0, "one": 0.1, "two": 0.2}, scenes=6, severities=(3,), spread=1.0)
    spec = draw(read_tables(tmp_path / "run"), "gains")
    points = values(spec, "gain", "group")
    gains = [point["gain"] for point in points]
    wide = [point for point in points if point["high"] is not None and point["high"] > 3 * max(gains)]
    assert wide, "the run has an interval that is far wider than the gains"
    ends = values(spec, "at", "number")
    assert {end["shape"] for end in ends} <= {"triangle-left", "triangle-right"}
    right = [end for end in ends if end["shape"] == "triangle-right"]
    assert len(right) == sum(point["high"] is not None and point["to"] < point["high"] for point in points)
    assert max(point["to"] for point in points if point["to"] is not None) < 2 * max(gains)
    assert "A triangle: the interval goes on." in spec["description"]


def radius(point, spec):
    """Return the distance of a mark from the middle, which is where the spokes meet, and the radius of the rim."""
    lines = values(spec, "line")
    centre = next(each for each in lines if each["line"].startswith("spoke") and each["order"] == 0)
    rim = next(each for each in lines if each["line"] == "ring 1.0")
    return [math.dist((each["x"], each["y"]), (centre["x"], centre["y"])) for each in (point, rim)]


def test_a_radar_puts_the_input_on_the_inner_ring_and_the_best_on_the_rim(tables):
    spec = draw(tables, "radar")
    marks = values(spec, "score", "order")
    assert len({mark["task"] for mark in marks}) == 3
    for task in ("rainy", "snowy", "hazy"):
        here = {mark["row"]: mark for mark in marks if mark["task"] == task}
        best = max(here, key=lambda name: here[name]["score"])
        scale = here[best]["score"] - here["identity"]["score"]
        for mark in here.values():
            at, rim = radius(mark, spec)
            share = (mark["score"] - here["identity"]["score"]) / scale
            assert at / rim == pytest.approx(0.25 + 0.75 * share, abs=1e-4)
            known = tables.leaderboard[tables.leaderboard.task == task]
            assert mark["score"] in set(known["psnr@rgb"].round(6))


def test_a_radar_does_not_blow_up_a_task_on_which_nothing_is_gained(tmp_path):
    def change(record):
        flat = "hazy" in record.digest and "identity" not in record.digest
        moved = {name: 20.0 + 0.001 * (value > 23) for name, value in record.scores.items()}
        identity = "hazy" in record.digest and "identity" in record.digest
        kept = dict.fromkeys(record.scores, 20.0)
        return record if not (flat or identity) else _with(record, kept if identity else moved)

    publish(tmp_path / "run", change=change, columns=(PSNR,))
    spec = draw(read_tables(tmp_path / "run"), "radar")
    for mark in values(spec, "score", "order"):
        if mark["task"] == "hazy":
            at, rim = radius(mark, spec)
            assert at / rim == pytest.approx(0.25, abs=0.01)


def _with(record, scores):
    from dataclasses import replace

    return replace(record, scores=scores)


def test_equal_rows_of_a_radar_are_marks_of_two_sizes_at_one_place(tmp_path):
    publish(tmp_path / "run", rows={"identity": 0, "one": 2, "same": 2}, spread=0.0)
    marks = values(draw(read_tables(tmp_path / "run"), "radar"), "score", "order")
    one, same = (next(mark for mark in marks if mark["row"] == name) for name in ("one", "same"))
    assert (one["x"], one["y"]) == (same["x"], same["y"])
    assert one["size"] > same["size"]
    assert {mark["best group"] for mark in (one, same)} == {"yes"}


@pytest.mark.parametrize("metric", ["psnr@rgb", "lpips@rgb"])
def test_the_share_above_the_diagonal_is_the_win_rate(tables, metric):
    column = tables.board.column(metric)
    scores = chosen.image_scores(tables, column)
    pairs = tables.comparisons
    for place in chosen.places(tables, None):
        found = images._pairs(scores, place, "good", "alike", column)
        assert len(found) == 42
        (row,) = pairs[
            (pairs.task == place.task) & (pairs.column == metric) & (pairs.a == "good") & (pairs.b == "alike")
        ].to_dict("records")
        assert images.share(found) == pytest.approx(1 - row["win_rate"])
    drawn = values(draw(tables, "images", metric=metric), "image", "a", "b")
    assert len(drawn) == 3 * 42
    up = [point for point in drawn if (point["b"] > point["a"]) == column.higher_is_better]
    assert {point["colour"] for point in up} == {images.SECOND}


@given(st.dictionaries(st.integers(1, 5), st.floats(0, 100), min_size=2))
def test_the_area_under_a_curve_is_the_trapezoidal_rule(curve):
    at = sorted(curve)
    expected = np.trapezoid([curve[each] for each in at], at) / (at[-1] - at[0])
    assert severity.area(curve) == pytest.approx(float(expected), abs=1e-9)


def test_severity_draws_means_over_the_photographs_and_gives_areas_in_the_legend(tables):
    spec = draw(tables, "severity")
    frame = tables.records.assign(at=tables.records["sample"].str[-1])
    points = values(spec, "severity", "score")
    assert len(points) == 3 * 4 * 3
    for point in points:
        label, _, tell = point["row"].partition(":")
        here = frame[
            (frame.task == point["task"]) & (frame.restorer == label) & (frame.tell == (tell or "nothing"))
        ]
        mean = here[here["at"] == str(point["severity"])]["psnr@rgb"].mean()
        assert point["score"] == pytest.approx(mean, abs=1e-6)
    areas = []
    for task in ("rainy", "snowy", "hazy"):
        curve = {p["severity"]: p["score"] for p in points if p["row"] == "good" and p["task"] == task}
        areas.append(np.trapezoid([curve[each] for each in sorted(curve)], sorted(curve)) / 4)
    assert f"good ({np.mean(areas):.2f})" in {key["text"] for key in values(spec, "text")}


def test_a_row_with_a_failure_has_no_curve_on_that_task_and_is_named(tmp_path):
    def change(record):
        broken = record.digest == "good-hazy-d" and record.sample == "03@3"
        return type(record)(record.digest, record.sample, 0, "failed", failure("error: no")) if broken else record

    publish(tmp_path / "run", change=change)
    tables = read_tables(tmp_path / "run")
    spec = draw(tables, "severity")
    drawn = {(point["row"], point["task"]) for point in values(spec, "severity", "score")}
    assert ("good", "rainy") in drawn and ("good", "hazy") not in drawn
    assert "Left out, as scores are missing: good on hazy." in spec["description"]
    assert "good (-)" in {key["text"] for key in values(spec, "text")}
    for kind, field in (("gains", "gain"), ("radar", "score")):
        spec = draw(tables, kind)
        assert ("good", "hazy") not in {(point["row"], point["task"]) for point in values(spec, field, "row")}
        assert "Left out, as scores are missing: good on hazy" in spec["description"]
    marks = [mark for mark in values(spec, "score", "order") if mark["row"] == "good"]
    assert [mark["task"] for mark in marks] == ["rainy", "snowy", "rainy"]
    assert len({mark["piece"] for mark in marks}) == 2  # the line has a gap where the score is missing
    assert "1 image with a score of one row only" in draw(tables, "images")["description"]


@given(
    st.lists(
        st.fixed_dictionaries({"seconds": st.integers(1, 9), "score": st.integers(0, 9)}), min_size=1, max_size=12
    ),
    st.booleans(),
)
def test_the_frontier_is_what_nothing_as_fast_beats(points, higher):
    def beaten(point):
        sign = 1 if higher else -1
        return any(
            other["seconds"] <= point["seconds"]
            and sign * other["score"] >= sign * point["score"]
            and (other["seconds"], other["score"]) != (point["seconds"], point["score"])
            for other in points
        )

    expected = {(p["seconds"], p["score"]) for p in points if not beaten(p)}
    found = [(p["seconds"], p["score"]) for p in cost.frontier(points, higher)]
    assert set(found) == expected and len(found) == len(expected)
    assert found == sorted(found)


def test_the_time_of_an_average_is_the_mean_over_its_tasks(tables):
    points = {point["row"]: point for point in values(draw(tables, "cost"), "seconds", "family")}
    frame = tables.cost[tables.cost.task != "clean"]
    for name, label, tell in (("good", "good", "nothing"), ("good:task", "good", "task")):
        rows = frame[(frame.restorer == label) & (frame.tell == tell)]
        assert len(rows) == 3
        assert points[name]["seconds"] == pytest.approx(rows.seconds_per_megapixel.mean(), abs=1e-6)
    average = tables.leaderboard[tables.leaderboard.task == "average"].set_index(["restorer", "tell"])
    assert points["good"]["score"] == pytest.approx(average.loc["good", "nothing"]["psnr@rgb"], abs=1e-6)


def test_a_confusion_matrix_has_the_counts_of_the_table(tables):
    drawn = values(draw(tables, "confusion"), "images", "share")
    cells = {(cell["task"], cell["verdict"], cell["images"], cell["share"]) for cell in drawn}
    counted = tables.confusion[["task", "verdict", "images"]].itertuples(index=False, name=None)
    assert sorted(cell[:3] for cell in cells) == sorted(counted)
    for task in ("rainy", "clean"):
        assert sum(cell[3] for cell in cells if cell[0] == task) == pytest.approx(1, abs=1e-5)


@pytest.fixture(scope="module")
def predicted(tmp_path_factory):
    """Tables that know the probabilities of single images, as those of a published folder."""
    return publish(tmp_path_factory.mktemp("predicted") / "run", detectors=("seer", "</text>${x}"))


def test_a_reliability_curve_has_the_bins_of_the_table_and_is_valid(predicted):
    altair = pytest.importorskip("altair")
    spec = draw(predicted, "reliability", rows=("seer",))
    altair.Chart.from_dict(spec, validate=True)
    title = " ".join(spec["title"]["text"])
    assert title.startswith("made-up (version 1): ") and title.endswith("126 images")
    (point,) = [row for row in values(spec, "probability", "low") if "middle" not in row]
    table = predicted.reliability[predicted.reliability.detector == "seer"]
    (line,) = table.to_dict("records")
    assert (line["probability"], line["images"], line["low"]) == (0.5, 126, 0.5)
    assert point["right"] == pytest.approx(line["right"], abs=1e-6) and line["right"] == pytest.approx(1 / 3)
    assert (point["low"], point["high"]) == pytest.approx((line["right_low"], line["right_high"]), abs=1e-6)
    assert [row["images"] for row in values(spec, "middle")] == [126]


def test_a_detector_without_probabilities_is_named(predicted):
    part = predicted.reliability[predicted.reliability.detector == "seer"]
    fewer = dataclasses.replace(predicted, reliability=part)
    notes = draw(fewer, "reliability")["description"]
    assert "Without probabilities: </text>${x}." in notes
    with pytest.raises(RestorebenchError, match="gave no probability of a degraded image"):
        draw(fewer, "reliability", rows=("</text>${x}",))


def test_every_detector_has_a_panel_and_no_name_is_code(predicted):
    converter = pytest.importorskip("vl_convert")
    spec = draw(predicted, "reliability")
    assert len(spec["concat"]) == 2
    drawn = xml.etree.ElementTree.fromstring(converter.vegalite_to_svg(json.dumps(spec)))
    assert "</text>${x}" in {each.text for each in drawn.iter() if each.tag.endswith("}text")}


def test_rare_verdicts_share_a_column_and_lose_no_image(tables):
    import pandas as pd
    from restorebench_reports.figures.confusion import MOST_OTHERS, _verdicts

    said = [("hazy", "hazy", 5), ("hazy", "none", 2), ("hazy", "failed", 1)]
    said += [("hazy", f"strange-{n}", n + 1) for n in range(MOST_OTHERS + 3)]
    part = pd.DataFrame(said, columns=["task", "verdict", "images"])
    columns = _verdicts(part, ["rainy+hazy", "hazy", "clean"])
    assert set(columns) == {verdict for _, verdict, _ in said} | {"hazy+rainy"}
    assert sum(name == "4 others" for name in columns.values()) == 4
    assert columns["strange-8"] == "strange-8"


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("radar", {"metric": "ssim"}, r"no column 'ssim'; it has psnr@rgb, lpips@rgb"),
        ("radar", {"rows": ("goood",)}, r"no row 'goood' \(nearest: good"),
        ("gains", {"task": "hzy"}, r"no task 'hzy' \(nearest: hazy"),
        ("gains", {"rows": ("good", "good")}, "'good' is named twice"),
        ("images", {"rows": ("good",)}, "needs two rows: --rows A,B; it has identity, good"),
        ("confusion", {"rows": ("sear",)}, r"no detector 'sear' \(nearest: seer"),
        ("confusion", {"task": "foggy"}, "no task 'foggy'"),
        ("confusion", {"metric": "psnr"}, "options of figure 'confusion': metric: Extra inputs"),
        ("cost", {"width": 10}, "options of figure 'cost': width: "),
    ],
)
def test_what_cannot_be_drawn_is_said(tables, kind, options, message):
    with pytest.raises(RestorebenchError, match=message):
        draw(tables, kind, **options)


@pytest.mark.parametrize(
    ("kind", "run", "message"),
    [
        ("radar", {"tasks": ("hazy", "rainy")}, "needs three tasks, and there are 2"),
        ("radar", {"rows": {"identity": 0} | {f"r{n}": n for n in range(8)}}, "at most 8 rows, and there are 9"),
        ("severity", {"severities": (3,)}, r"images of two severities .*severities: \[1, 2, 3, 4, 5\]"),
        ("severity", {"rows": {f"r{n}": n for n in range(13)}}, "at most 12 rows, and there are 13"),
        ("gains", {"rows": {"good": 1, "alike": 1.1}}, "no row; add it to the restorers"),
        ("confusion", {"detectors": ()}, "needs detectors, and the run has none"),
        ("reliability", {}, "needs what detectors predicted of each image; `restorebench publish`"),
        ("cost", {"change": lambda record: _with_time(record, None)}, "no row has a score in psnr@rgb and a time"),
    ],
)
def test_a_run_that_lacks_what_a_figure_shows_is_refused(tmp_path, kind, run, message):
    publish(tmp_path / "run", **{"scenes": 4, **run})
    with pytest.raises(RestorebenchError, match=message):
        draw(read_tables(tmp_path / "run"), kind)


def _with_time(record, seconds):
    from dataclasses import replace

    return replace(record, seconds=seconds)


def test_with_few_scenes_nothing_is_filled_and_it_is_said(tmp_path):
    publish(tmp_path / "run", scenes=4)
    tables = read_tables(tmp_path / "run")
    for kind in ("radar", "gains", "cost"):
        spec = draw(tables, kind)
        assert "Nothing is compared: there are fewer than 6 scenes." in spec["description"]
        assert {point["fill"] for point in values(spec, "fill", "row")} == {"white"}


def test_a_metric_that_never_ranks_is_drawn_but_never_compared(tmp_path):
    beside = Column("odd@rgb", True, 2, "dB", ranks=False)
    publish(tmp_path / "run", columns=(PSNR, beside))
    tables = read_tables(tmp_path / "run")
    assert "odd@rgb never ranks" in draw(tables, "radar", metric="odd")["description"]
    with pytest.raises(RestorebenchError, match=r"no gain in odd@rgb"):
        draw(tables, "gains", metric="odd")


def test_datasets_of_one_task_are_panels_of_their_own(tmp_path):
    publish(tmp_path / "run", datasets=("one", "two"), tasks=("hazy", "rainy"))
    tables = read_tables(tmp_path / "run")
    assert {mark["task"] for mark in values(draw(tables, "radar"), "score")} == {
        f"{task} ({dataset})" for task, dataset in itertools.product(("hazy", "rainy"), ("one", "two"))
    }


def test_shortened_names_fit_and_keep_both_ends():
    assert style.shortened("short", 10, 100) == "short"
    cut = style.shortened("a" * 50 + "-1", 10, 100)
    assert cut.startswith("aaa") and cut.endswith("-1") and "…" in cut
    assert style.text_width(cut, 10) <= 100
    assert style.shortened("a\nb\x1b", 10, 100) == "a b\\x1b"


@given(st.text(), st.floats(20, 400))
def test_wrapped_lines_fit_and_lose_no_short_word(text, most):
    lines = style.wrapped(text, 9, most)
    assert all(style.text_width(line, 9) <= max(most, 30) for line in lines)


def test_the_first_64_rows_have_marks_that_differ():
    assert len({style.mark_of(number) for number in range(64)}) == 64


@pytest.mark.parametrize(
    "text",
    ["classical:daclip-compact", "jpeg-compressed", "MOTION-BLURRY", "0.0460 to 0.0388", "wwwmmm", "Weiß (2 %)"],
)
def test_estimated_widths_are_not_below_those_of_the_font(text):
    converter = pytest.importorskip("vl_convert")
    mark = {"type": "text", "font": style.FONT, "fontSize": 50, "align": "left", "x": 10, "y": 50}
    spec = {
        "width": 1500,
        "height": 100,
        "data": {"values": [{"text": text}]},
        "mark": mark,
        "background": "white",
    }
    spec |= {"encoding": {"text": {"field": "text"}}, "config": {"view": {"stroke": None}}}
    with Image.open(io.BytesIO(converter.vegalite_to_png(json.dumps(spec)))) as image:
        inked = np.flatnonzero((np.asarray(image.convert("L")) < 128).any(axis=0))
    drawn = inked[-1] - inked[0]
    assert drawn > 5 * len(text)
    assert 1.3 * drawn > style.text_width(text, 50) >= drawn


def test_options_have_no_field_that_a_kind_ignores():
    fields = {kind: set(model.model_fields) for kind, model in _OPTIONS.items()}
    assert fields["confusion"] == {"width", "task", "rows"}
    assert fields["reliability"] == {"width", "rows"}
    assert fields["radar"] == {"width", "metric", "rows"}
    assert fields["images"] == fields["board"] == {"width", "metric", "rows", "task"}


_OPTIONS = {
    "radar": RadarOptions,
    "board": BoardOptions,
    "images": ImagesOptions,
    "confusion": ConfusionOptions,
    "reliability": ReliabilityOptions,
}


def test_names_of_rows_are_looked_up_as_they_are(tables):
    assert [row.name for row in chosen.rows(tables, ("alike", "good"))] == ["alike", "good"]
    assert {row.name for row in chosen.rows(tables, ())} == set(ROWS)
    with pytest.raises(UnknownName):
        chosen.rows(tables, ("good:nothing",))
    assert LPIPS.name in {column.name for column in tables.board.columns}
