"""`show`: the input, what rows made of it and the clean image; saved outputs, and outputs restored anew."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess

import numpy as np
import pytest
from PIL import Image

from restorebench import RestorebenchError, compare, run, show
from restorebench.commands.looking import looks, quoted
from restorebench.commands.panels import Panel, Shown, Window, cut, explained, most_different
from restorebench.commands.pictures import png
from restorebench.suite.settings import Settings
from restorebench.tables.board import Column

HOSTILE = "it's <b>, $HOME\x1b"
"""A name of an image file."""
ROW = '-a "row", `b`'
SUITE = f"""
suite: shown
tasks: [noisy]
datasets: [{{name: paired-folder, options: {{path: pairs}}}}]
restorers: [identity, {{name: classical, tell: task, label: {ROW!r}}}]
metrics: [psnr]
clean_inputs: false
batch_size: 3
"""
IN_PROCESS = Settings(device="cpu", workers=0)
PSNR = Column("psnr@rgb", True, 2, "dB")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with `saved` and `plain`, two runs of the same suite of which the first saved its outputs."""
    folder = tmp_path_factory.mktemp("shown")
    rng = np.random.default_rng(4)
    for name in ("a", "b", "c", "d", "e f", HOSTILE):
        clean = np.kron(rng.integers(0, 255, (3, 5, 3)), np.ones((8, 8, 1)))
        clean = np.full_like(clean, 128) if name == HOSTILE else clean  # a denoiser gains the most on it
        for side, image in (
            ("GT", clean),
            ("LQ", clean + rng.normal(0, 25, clean.shape)),
        ):
            (folder / "pairs" / "noisy" / side).mkdir(parents=True, exist_ok=True)
            levels = np.rint(image.clip(0, 255)).astype(np.uint8)
            Image.fromarray(levels).save(folder / "pairs" / "noisy" / side / f"{name}.png")
    (folder / "suite.yaml").write_text(SUITE)
    for out, save in (("saved", "all"), ("plain", "none")):
        run(str(folder / "suite.yaml"), out=folder / out, overrides=f"save={save}", device="cpu", workers=0)
    return folder


def pixels(file):
    return np.asarray(Image.open(file).convert("RGB"))


def test_saved_outputs_are_beside_their_input_and_clean_image(runs):
    (shown,) = show(runs / "saved", "noisy/a", restore=False, settings=IN_PROCESS)
    assert [panel.name for panel in shown.panels] == ["input", f"{ROW}:task", "clean"]
    (output,) = list((runs / "saved").glob("outputs/*/noisy/*row*/a.png"))
    files = (runs / "pairs" / "noisy" / "LQ" / "a.png", output, runs / "pairs" / "noisy" / "GT" / "a.png")
    for panel, file in zip(shown.panels, files, strict=True):
        assert np.array_equal(panel.pixels, pixels(file)), panel.name
    for panel in shown.panels[:2]:  # the printed score is that of the pixels beside it
        error = np.square(panel.pixels / 255 - shown.panels[2].pixels / 255).mean()
        assert panel.score == f"{-10 * np.log10(error):.2f} dB"


def test_outputs_that_were_not_saved_are_restored_anew_and_agree(runs):
    names = ["noisy/a", "noisy/e f"]
    anew = show(runs / "plain", names, rows=f"{ROW}:task", settings=IN_PROCESS)
    saved = show(runs / "saved", names, rows=f"{ROW}:task", restore=False)
    for one, other in zip(anew, saved, strict=True):
        assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(one.panels, other.panels, strict=True))
        assert one.notes == (f"{ROW}:task: restored anew, with the score of the run",)
        assert other.notes == ()
    with pytest.raises(RestorebenchError, match=r"no saved image of .* on noisy/a"):
        show(runs / "plain", "noisy/a", restore=False)


def test_a_score_that_does_not_come_again_is_noted(runs, tmp_path):
    shutil.copytree(runs / "plain", tmp_path / "moved")
    with sqlite3.connect(tmp_path / "moved" / "run.sqlite") as journal:
        journal.execute("UPDATE scores SET value = 12.5 WHERE sample = 'b'")
    (shown,) = show(tmp_path / "moved", "noisy/b", settings=IN_PROCESS)
    assert shown.panels[1].score == "12.50 dB"
    (note,) = shown.notes
    assert re.search(
        r"restored anew, and scores [\d.]+ dB instead of 12.500000 dB in the run: the method is", note
    )


def test_a_row_that_failed_is_left_out_with_a_note(runs, tmp_path):
    shutil.copytree(runs / "saved", tmp_path / "failed")
    with sqlite3.connect(tmp_path / "failed" / "run.sqlite") as journal:
        journal.execute(
            "UPDATE outcomes SET record = json_set(record, '$.status', 'failed', '$.failure',"
            ' json(\'{"kind": "crash", "message": "SIGSEGV"}\')) WHERE sample = \'c\' AND digest IN'
            " (SELECT digest FROM outcomes WHERE record LIKE '%row%')"
        )
    (shown,) = show(tmp_path / "failed", "noisy/c", rows=["identity", f"{ROW}:task"], restore=False)
    assert [panel.name for panel in shown.panels] == ["input", "identity", "clean"]
    assert f"{ROW}:task: failed: crash: SIGSEGV" in shown.notes
    with pytest.raises(RestorebenchError, match="no row restored noisy/c of paired-folder: failed: crash"):
        show(tmp_path / "failed", "noisy/c", restore=False)


def test_a_saved_output_that_is_damaged_is_named_and_one_that_is_gone_is_restored_anew(runs, tmp_path):
    shutil.copytree(runs / "saved", tmp_path / "damaged")
    (file,) = (tmp_path / "damaged").glob("outputs/*/noisy/*row*/d.png")
    Image.new("RGB", (7, 5)).save(file)
    with pytest.raises(RestorebenchError, match=r"d.png: has another size than its input; remove it"):
        show(tmp_path / "damaged", "noisy/d", settings=IN_PROCESS)
    file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(RestorebenchError, match=r"d.png: is no image, or damaged; remove it"):
        show(tmp_path / "damaged", "noisy/d", settings=IN_PROCESS)
    file.unlink()
    (shown,) = show(tmp_path / "damaged", "noisy/d", settings=IN_PROCESS)
    assert np.array_equal(shown.panels[1].pixels, show(runs / "saved", "noisy/d")[0].panels[1].pixels)


def test_two_runs_of_other_images_are_not_side_by_side(runs, tmp_path):
    shutil.copytree(runs / "saved", tmp_path / "other")
    with sqlite3.connect(tmp_path / "other" / "run.sqlite") as journal:
        journal.execute("UPDATE outcomes SET record = json_set(record, '$.degraded_digest', 'other')")
    with pytest.raises(RestorebenchError, match=r"it is another image than in .*saved; put back the data"):
        show(runs / "saved", "noisy/d", rows="identity", also=(tmp_path / "other", "identity"))
    with pytest.raises(RestorebenchError, match=r"other had another input; put back the data"):
        show(tmp_path / "other", "noisy/d")


def test_a_row_of_another_run_is_named_after_it(runs):
    (shown,) = show(
        runs / "saved", "noisy/d", rows="identity", also=(runs / "plain", "identity"), settings=IN_PROCESS
    )
    assert [panel.name for panel in shown.panels] == ["input", "identity", f"identity ({runs / 'plain'})", "clean"]
    assert shown.window is None
    assert "the outputs are equal in every pixel, rounded to 8 bits" in shown.notes


@pytest.mark.parametrize(
    ("images", "more", "message"),
    [
        ("noisy/aa", {}, r"no image 'noisy/aa' \(nearest: noisy/a.*write TASK/SAMPLE"),
        ("hazy/a", {}, "no image 'hazy/a'"),
        ((), {}, "name an image as TASK/SAMPLE"),
        ("noisy/a", {"rows": "identiti"}, r"no row 'identiti' \(nearest: identity\)"),
        ("noisy/a", {"metric": "ssim"}, "no column 'ssim'.*it has psnr@rgb"),
        ("noisy/a", {"file": "x.jpg"}, "x.jpg: a picture is written as .png or .html"),
        ("noisy/a", {"file": "none/x.png"}, "none is not a folder that can be written"),
        ("noisy/a", {"also": ("nowhere", "identity")}, "nowhere holds no run"),
        ("noisy/a", {"also": ("saved/../saved", "identity")}, "is the same run; name 'identity' among its rows"),
    ],
)
def test_what_cannot_be_shown_says_why(runs, images, more, message, monkeypatch):
    monkeypatch.chdir(runs)
    with pytest.raises(RestorebenchError, match=message):
        show(runs / "saved", images, **more)


def test_data_that_moved_or_changed_are_named(runs):
    file = runs / "pairs" / "noisy" / "LQ" / "a.png"
    before = file.read_bytes()
    try:
        (runs / "pairs").rename(runs / "away")
        with pytest.raises(
            RestorebenchError, match=r"planned again to show its images: .*pairs: no such folder; put"
        ):
            show(runs / "saved", "noisy/a")
        (runs / "away").rename(runs / "pairs")
        Image.fromarray(pixels(file)[::-1]).save(file)
        with pytest.raises(
            RestorebenchError, match=r"data or plugins changed since it was run .*put back what changed"
        ):
            show(runs / "saved", "noisy/a")
    finally:
        if not (runs / "pairs").exists():
            (runs / "away").rename(runs / "pairs")
        file.write_bytes(before)


def test_the_window_is_the_square_with_the_largest_difference():
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (37, 52, 3), dtype=np.uint8) for _ in range(3)]
    images[1][20:30, 30:44] = 255 - images[0][20:30, 30:44]
    found = most_different(images)
    assert (found.height, found.width) == (16, 16)
    sums = {
        (top, left): sum(
            int(each) ** 2
            for each in np.ptp([image[top : top + 16, left : left + 16] for image in images], axis=0).ravel()
        )
        for top in range(37 - 15)
        for left in range(52 - 15)
    }
    assert sums[found.top, found.left] == max(sums.values())
    assert most_different([images[0], images[0].copy()]) is None
    assert most_different([np.zeros((5, 9, 3), np.uint8), np.ones((5, 9, 3), np.uint8)]) == Window(0, 0, 5, 5)


def test_with_one_output_the_place_where_it_is_furthest_from_the_clean_image_is_enlarged(runs):
    (shown,) = show(runs / "saved", "noisy/a", restore=False)
    output, clean = (panel.pixels for panel in shown.panels[1:])
    assert shown.window == most_different([output, clean])
    assert explained(shown)[1].endswith("where the output differs the most from the clean image")


def made_up(height, width, names=("input", "ours", "clean")):
    rng = np.random.default_rng(1)
    panels = tuple(Panel(name, "", rng.integers(0, 255, (height, width, 3), dtype=np.uint8)) for name in names)
    return Shown("noisy/a of d", PSNR, panels, most_different([panel.pixels for panel in panels]))


def test_small_images_are_enlarged_by_a_whole_number_and_no_pixel_is_invented(tmp_path):
    shown = made_up(40, 60)
    (tmp_path / "p.png").write_bytes(png([shown, shown]))
    drawn = pixels(tmp_path / "p.png")
    for panel in shown.panels:
        inner = panel.pixels[: shown.window.top].repeat(4, axis=0).repeat(4, axis=1)
        enlarged = shown.window.of(panel.pixels).repeat(240 // 16, axis=0).repeat(240 // 16, axis=1)
        for part in (inner[:4], enlarged):
            assert places(drawn, part) == 2, panel.name


def places(drawn, part):
    """Count how often a picture holds a part, pixel by pixel."""
    height, width = part.shape[:2]
    rows, columns = np.nonzero(
        (drawn[: drawn.shape[0] - height + 1, : drawn.shape[1] - width + 1] == part[0, 0]).all(2)
    )
    return sum(
        np.array_equal(drawn[y : y + height, x : x + width], part) for y, x in zip(rows, columns, strict=True)
    )


def test_large_images_are_cut_around_the_window_and_never_made_smaller():
    shown = made_up(700, 90)
    part = cut(shown, 256)
    assert part.panels[0].pixels.shape == (256, 90, 3)
    for before, after in zip(shown.panels, part.panels, strict=True):
        assert np.array_equal(part.window.of(after.pixels), shown.window.of(before.pixels))
    assert "a part of 90 x 700 px is shown: 90 x 256 px" in part.notes[-1]
    assert cut(shown, 700) is shown
    assert explained(part)[1] == explained(shown)[1]  # it names the place in the whole image


@pytest.mark.parametrize(
    "word", ["a b", "it's", '"$HOME`x`', "a\x1b[31m\n\\x41é日", "é\u202e\U000e0001", "", "-o"]
)
def test_a_quoted_word_is_read_back_by_a_shell(word):
    read = subprocess.run(
        ["bash", "-c", f"printf %s {quoted(word)}"], capture_output=True, env={"LC_ALL": "C.UTF-8"}
    )
    assert read.stdout.decode() == word
    assert quoted(word).isprintable()


def test_compare_names_a_command_that_shows_its_images(runs, call, tmp_path):
    (look,) = looks(compare(f"{ROW}:task", "identity", runs / "saved"))
    assert look.ahead == f"{ROW}:task"
    words = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {look.command}"], capture_output=True, env={"LC_ALL": "C.UTF-8"}
    ).stdout
    assert look.command in call("compare", "--", f"{ROW}:task", "identity", runs / "saved")[1]
    arguments = words.decode().rstrip("\0").split("\0")
    assert arguments[:2] == ["restorebench", "show"] and f"noisy/{HOSTILE}" in arguments
    code, out, error = call(*arguments[1:])
    assert code == 0, error
    assert pixels(tmp_path / out.splitlines()[-1]).shape[2] == 3
