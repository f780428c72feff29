"""`explain`: the same outputs under every convention, and which of them gives a paper's number.

The prepared cases are images scored by scripts that use scikit-image, scipy and Pillow alone: tests/scripts.py.
"""

from __future__ import annotations

import functools
import io
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from restorebench import MetricInfo, RestorebenchError, ScoringProtocol, Variant, explain, score
from restorebench.commands.claims import explained, read_numbers
from restorebench.commands.conventions import POOLED, Tallies, grouped
from restorebench.contract.errors import BrokenPlugin, ContractViolation, MissingResource, RunFolderError
from restorebench.suite.settings import Settings
from tests.scripts import SCRIPTS

PLUGINS = Path(__file__).parents[1] / "plugins"


def photographs():
    """Return parts of four photographs, of different sizes that are no multiples of 16."""
    parts = ((data.astronaut, 40, 120), (data.coffee, 120, 180), (data.chelsea, 30, 100), (data.rocket, 200, 250))
    sizes = ((141, 187), (163, 150), (149, 203), (137, 161))
    return [
        np.ascontiguousarray(photograph()[top : top + height, left : left + width])
        for (photograph, top, left), (height, width) in zip(parts, sizes, strict=True)
    ]


def levels(image):
    return np.rint(np.clip(image, 0, 255)).astype(np.uint8)


def jpeg(image, quality):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


SETS = {
    "noise": lambda clean, rng, n: levels(clean + rng.normal(0, 8 + 4 * n, clean.shape)),
    "low light": lambda clean, rng, n: levels(clean * [0.7, 0.75, 0.6] + rng.normal(0, 4, clean.shape)),
    "blur": lambda clean, rng, n: levels(
        gaussian_filter(jpeg(clean, 40).astype(float), (0.7 + 0.2 * n,) * 2 + (0,))
    ),
}
"""How images of a set are damaged, in place of what a restorer makes of them."""


@functools.cache
def pairs(name):
    rng = np.random.default_rng(3)
    return [(SETS[name](clean, rng, n), clean) for n, clean in enumerate(photographs())]


def write(folder, images):
    """Save (restored, clean) pairs; return the two folders."""
    for number, pair in enumerate(images):
        for side, image in zip(("restored", "clean"), pair, strict=True):
            (folder / side).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / side / f"{number}.png")
    return folder / "restored", folder / "clean"


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Everything that was computed for a set: `found(name)`."""

    @functools.cache
    def compute(name):
        folder = tmp_path_factory.mktemp("set")
        return explain(*write(folder, pairs(name)), paper="30.00/0.9000")

    return compute


DECIMALS = {"psnr": 2, "ssim": 4}
WINDOW = "7x7 uniform window"
PREPARED = (
    *("psnr@rgb", "psnr@y", "psnr@y-full", "psnr@daclip", "psnr@airnet"),
    *("psnr@y, 4 px border", "psnr@y, luma rounded to 8 bits"),
    *("psnr@y, BGR read as RGB", "psnr@rgb, restored image read as BGR, clean as RGB"),
    *("psnr@rgb, squared errors pooled over all pixels", "psnr@rgb, peak 255 on images in 0..1"),
    *("psnr@rgb, peak 2 on images in 0..1", "psnr@rgb, clean image's range as peak"),
    "psnr@rgb, both resized to 256 x 256 (Pillow bicubic)",
    *("ssim@rgb", "ssim@y", "ssim@daclip", "ssim@airnet"),
    *(f"ssim@rgb, {WINDOW}", f"ssim@y, {WINDOW}", "ssim@y, BGR read as RGB"),
    *("ssim@rgb, data range 255 on images in 0..1", "ssim@rgb, data range 1 on images in 0..255"),
    "ssim@rgb, border padded with zeros",
    "ssim@rgb, both resized to 256 x 256 (Pillow bicubic)",
)
"""The conventions of the prepared cases; the low-light set has mean alignment too, which changes others little."""
ALIGNED = ("psnr@rgb, mean-aligned", "psnr@rgb, mean-aligned over all channels", "ssim@rgb, mean-aligned")


def asked(found, convention, text):
    """Return the names of the conventions that give a number, the first one's other names included."""
    metric = convention.partition("@")[0]
    ((claim,), _) = explained(read_numbers(text), found.conventions, [[metric]])
    return [(each.name, *each.also) for each in claim.matches]


def test_the_right_convention_is_named_first_in_eleven_of_twelve_prepared_cases(found, record_property):
    cases = [(name, convention) for name in SETS for convention in PREPARED]
    cases += [("low light", convention) for convention in ALIGNED]
    first, missing = 0, []
    for name, convention in cases:
        text = f"{SCRIPTS[convention](pairs(name)):.{DECIMALS[convention[:4]]}f}"
        named = asked(found(name), convention, text)
        first += convention in named[0]
        if not any(convention in names for names in named):
            missing.append((name, convention, text))
    record_property("first", f"{first} of {len(cases)}")
    assert missing == []
    assert first >= 11 / 12 * len(cases), (first, len(cases))


def test_every_script_is_among_the_conventions_that_give_its_number(found):
    for name in SETS:
        lacking = []
        for convention, script in SCRIPTS.items():
            text = f"{script(pairs(name)):.4f}"
            named = asked(found(name), convention, text)
            lacking += [] if any(convention in names for names in named) else [(convention, text, named[:1])]
        # Rounding after mean alignment changes nothing where the means agree already.
        assert [each for each in lacking if "mean-aligned" not in each[0]] == [], name


# ---------------------------------------------------------------- the numbers


@pytest.fixture
def folders(tmp_path):
    """Two small folders of three pairs that differ in size."""
    rng = np.random.default_rng(1)
    images = []
    for size in ((40, 52), (33, 47), (48, 48)):
        clean = np.asarray(Image.fromarray(rng.integers(0, 255, (7, 9, 3), dtype=np.uint8)).resize(size[::-1]))
        images.append((levels(clean + rng.normal(0, 12, clean.shape)), clean))
    return (*write(tmp_path, images), images)


def means(explanation):
    """Map every name of a convention to its number."""
    return {name: each.mean for each in explanation.conventions for name in (each.name, *each.also)}


def test_protocols_have_the_means_that_score_prints(folders):
    restored, clean, _ = folders
    protocols = ("rgb", "y", "y-full", "daclip", "airnet")
    table = score(restored, clean, protocols=protocols, settings=Settings(workers=0, device="cpu"))
    found = means(explain(restored, clean))
    assert {name: found[name] for name in table.means} == pytest.approx(dict(table.means), abs=1e-6)


def test_differences_are_from_the_first_protocol_and_the_usual_come_first(folders):
    found = explain(*folders[:2])
    for metric in ("psnr", "ssim"):
        own = [each for each in found.conventions if each.metric == metric]
        assert (own[0].name, own[0].difference) == (f"{metric}@rgb", 0)
        assert [each.rarity for each in own] == sorted(each.rarity for each in own)
        assert all(each.difference == each.mean - own[0].mean for each in own)


def test_pooling_counts_pixels_and_so_differs_from_averaging_the_errors_of_images(folders):
    restored, clean, images = folders
    found = means(explain(restored, clean))
    squared = [(a.astype(float) - b) ** 2 / 255**2 for a, b in images]
    pixels = sum(each.sum() for each in squared) / sum(each.size for each in squared)
    assert found[f"psnr@rgb, {POOLED}"] == pytest.approx(-10 * math.log10(pixels), abs=1e-9)
    averaged = -10 * math.log10(np.mean([each.mean() for each in squared]))
    assert found["psnr@rgb, squared errors averaged over the images"] == pytest.approx(averaged, abs=1e-9)
    assert abs(averaged + 10 * math.log10(pixels)) > 1e-4


def test_equal_images_count_as_in_the_tables_or_80_db_or_not_at_all(tmp_path):
    _, noisy = (image for image in pairs("noise")[0])
    restored, clean = write(tmp_path, [pairs("noise")[0], (noisy, noisy)])
    finite = peak_signal_noise_ratio(*reversed(pairs("noise")[0]), data_range=255)
    found = means(explain(restored, clean, metrics=["psnr"]))
    assert found["psnr@rgb"] == pytest.approx((finite + 100) / 2, abs=1e-6)
    assert found["psnr@rgb, equal images count 80 dB"] == pytest.approx((finite + 80) / 2, abs=1e-6)
    assert found["psnr@rgb, equal images left out"] == pytest.approx(finite, abs=1e-6)


@pytest.mark.parametrize("method", ["BICUBIC", "BILINEAR"])
def test_images_of_another_size_than_the_ground_truth_are_fitted_in_named_ways(tmp_path, method):
    images = pairs("noise")[:2]
    small = [(restored[:96, :112], clean) for restored, clean in images]
    restored, clean = write(tmp_path, [*small, images[2 % len(images)]])
    resized = [np.asarray(Image.fromarray(c).resize(r.shape[1::-1], Image.Resampling[method])) for r, c in small]
    pair = [(r, c) for (r, _), c in zip(small, resized, strict=True)] + [images[2 % len(images)]]
    expected = np.mean([peak_signal_noise_ratio(c, r, data_range=255) for r, c in pair])
    found = explain(restored, clean, paper=f"{expected:.4f}")
    assert found.claims[0].matches[0].name == f"psnr@rgb, ground truth resized (Pillow {method.lower()})"
    assert found.notes == ("2 images have another size than the ground truth; `score` refuses such images",)
    cut = np.mean(
        [peak_signal_noise_ratio(c[: len(r), : r.shape[1]], r, data_range=255) for r, c in [*small, pair[-1]]]
    )
    assert means(found)["psnr@rgb, cut to the common size from the corner"] == pytest.approx(cut, abs=1e-6)


def test_two_numbers_are_explained_by_one_preparation_of_the_images(folders):
    restored, clean, images = folders
    numbers = [SCRIPTS[f"{metric}@y, 4 px border"](images) for metric in ("psnr", "ssim")]
    found = explain(restored, clean, paper="/".join(f"{number:.2f}" for number in numbers))
    assert "y, 4 px border" in found.together
    for claim, metric in zip(found.claims, ("psnr", "ssim"), strict=True):
        fitting = [each for each in claim.matches if any(", ".join(key) in found.together for key in each.keys)]
        assert list(claim.matches[: len(fitting)]) == fitting
        assert any(each.name == f"{metric}@y, 4 px border" for each in fitting)


def test_a_number_that_nothing_gives_is_told_with_the_nearest(folders):
    found = explain(*folders[:2], paper="61.25")
    (claim,) = found.claims
    assert claim.matches == ()
    own = [each.mean for each in found.conventions]
    assert [each.mean for each in claim.nearest] == sorted(own, key=lambda mean: abs(mean - 61.25))[:3]
    assert {each.metric for each in found.conventions} == {"psnr"}  # 61.25 is no SSIM


@pytest.mark.parametrize(
    ("text", "bounds"),
    [("31.24", (31.235, 31.245)), ("31", (30.5, 31.5)), ("0.912", (0.9115, 0.9125)), ("-17.9", (-17.95, -17.85))],
)
def test_the_decimals_of_a_number_say_how_exact_it_is(text, bounds):
    (number,) = read_numbers(text)
    assert (number.low, number.high) == pytest.approx(bounds, abs=1e-12)
    assert number.within(number.low) and number.within(number.high)
    assert not number.within(number.high + 1e-6)


@pytest.mark.parametrize("text", ["", "31,24", "31.24 dB", "nan", "1e3", "31.24/", "1.2.3", "9" * 40, "٣١"])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(RestorebenchError, match="is not a number as papers print it"):
        explain("none", "none", paper=text)


def test_a_number_that_lost_its_decimals_is_refused(folders):
    with pytest.raises(RestorebenchError, match=r"31\.2 is not text; give a number as the paper prints it"):
        explain(*folders[:2], paper=31.20)


# ---------------------------------------------------------------- grouping


CARD = MetricInfo(
    name="psnr",
    version="1",
    summary="For tests",
    load="none:none",
    higher_is_better=True,
    unit="dB",
    protocols=(ScoringProtocol("rgb", "As it is"),),
)


def conventions(*scored):
    """Tally one image under (departures, rarity, score)."""
    tallies = Tallies({"psnr": CARD})
    variants = {("psnr", Variant("rgb", departures, (), rarity)): value for departures, rarity, value in scored}
    tallies.add("", variants, 100)
    return [each for each in grouped(tallies.conventions({"psnr": 3.0})) if POOLED not in each.formula]


def test_a_departure_that_changes_nothing_is_not_listed_and_other_names_of_a_number_are():
    plain, cut, odd = conventions(
        ((), 0.0, 30.0),
        (("border",), 1.0, 31.0),
        (("border", "rounded"), 1.5, 31.0),
        (("window",), 2.0, 31.0),
        (("other",), 1.2, 31.1),
    )
    assert (plain.departures, plain.also) == ((), ())
    assert (cut.departures, cut.also) == (("border",), ("psnr@rgb, window",))
    assert (odd.departures, odd.difference) == (("other",), pytest.approx(1.1))


def test_every_protocol_has_an_entry_even_if_two_give_one_number(tmp_path):
    clean = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    restored = np.clip(clean + np.random.default_rng(1).normal(0, 9, clean.shape), 0, 255).astype(np.uint8)
    found = explain(*write(tmp_path, [(restored, clean)]))
    named = {each.name: each for each in found.conventions if not each.departures}
    protocols = ("rgb", "y", "y-full", "daclip", "airnet")
    assert list(named) == [f"{metric}@{protocol}" for metric in ("psnr", "ssim") for protocol in protocols]
    assert named["psnr@airnet"].mean == pytest.approx(named["psnr@rgb"].mean, abs=1e-6)  # nothing is cropped
    assert named["ssim@airnet"].also == ("ssim@rgb, 7x7 uniform window",)
    assert named["psnr@daclip"].also == ("psnr@rgb, 4 px border",)


def test_a_convention_that_an_image_is_too_small_for_is_left_out():
    tallies = Tallies({"psnr": CARD})
    plain, cut = Variant("rgb", (), (), 0.0), Variant("rgb", ("border",), (), 1.0)
    tallies.add("", {("psnr", plain): 30.0, ("psnr", cut): 31.0}, 100)
    tallies.add("", {("psnr", plain): 32.0}, 50)
    names = {each.departures for each in tallies.conventions({"psnr": 1.0})}
    assert () in names
    assert not any("border" in departures for departures in names)


# ---------------------------------------------------------------- folders and runs


def test_folders_that_cannot_be_used_are_named(tmp_path, folders):
    restored, clean, _ = folders
    with pytest.raises(MissingResource, match="nowhere is not a folder"):
        explain(tmp_path / "nowhere", clean)
    (restored / "2.png").rename(restored / "9.png")
    with pytest.raises(RestorebenchError, match="1 degraded without a clean partner: 9"):
        explain(restored, clean)
    (restored / "9.png").rename(restored / "2.png")
    (restored / "1.png").write_bytes((restored / "1.png").read_bytes()[:200])
    with pytest.raises(RestorebenchError, match=r"restored/1\.png"):
        explain(restored, clean)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"metrics": ["pnsr"]}, r"no metric called 'pnsr' \(nearest: psnr"),
        ({"metrics": ["psnr-hole"]}, "psnr-hole needs the mask of each image"),
        ({"restorer": "identity"}, "name a row of a run; two folders have none"),
        ({"pairing": "sots"}, "do not match under pairing rule 'sots'"),
    ],
)
def test_what_two_folders_cannot_be_asked_is_refused(folders, keys, message):
    with pytest.raises(RestorebenchError, match=message):
        explain(*folders[:2], **keys)


def test_images_that_are_too_small_for_everything_are_refused_and_for_something_are_told(tmp_path):
    tiny = np.zeros((5, 6, 3), dtype=np.uint8)
    found = explain(*write(tmp_path / "a", [(tiny + 9, tiny)]))
    columns = "psnr@daclip, psnr@airnet, ssim@rgb, ssim@y, ssim@y-full, ssim@daclip, ssim@airnet"
    assert found.notes == (f"an image is too small for {columns}",)
    with pytest.raises(RestorebenchError, match="an image is too small for ms-ssim; give larger ones"):
        explain(*write(tmp_path / "b", [(tiny + 9, tiny)]), metrics=["ms-ssim"])


@pytest.fixture
def saved(run, tmp_path):
    run(["identity", "classical"], metrics=["psnr"], save="all", plugins=(), settings={"workers": 0})
    return tmp_path / "run"


def test_a_row_of_a_run_is_explained_from_its_saved_images(saved, pairs):
    found = explain(saved, restorer="identity")
    assert (found.images, found.row) == (3, "identity on noisy of paired-folder")
    files = [(pairs / "noisy" / "LQ" / name.name, name) for name in sorted((pairs / "noisy" / "GT").iterdir())]
    images = [tuple(np.asarray(Image.open(path)) for path in pair) for pair in files]
    assert means(found)["psnr@rgb"] == pytest.approx(SCRIPTS["psnr@rgb"](images), abs=1e-6)
    window = [structural_similarity(a, b, data_range=255, channel_axis=2) for a, b in images]
    assert means(found)["ssim@rgb, 7x7 uniform window"] == pytest.approx(np.mean(window), abs=1e-6)


def test_unrounded_images_of_a_run_are_scored_as_they_were_kept(run, tmp_path):
    told = {"name": "classical", "tell": "task"}
    run([told], protocols=["rgb", "airnet"], save="all", plugins=(), settings={"workers": 0})
    found = means(explain(tmp_path / "run", metrics=["psnr"]))
    assert found["psnr@airnet"] != found["psnr@rgb"]
    assert "psnr@rgb, not rounded" in found


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({}, "run has 2 rows; name one by --restorer: identity, classical"),
        ({"restorer": "identiy"}, r"has no restorer 'identiy' \(nearest: identity\); it has identity, classical"),
        ({"task": "hazy"}, "has no task 'hazy'; it has noisy"),
        ({"pairing": "stem"}, "a run has its pairs already"),
    ],
)
def test_which_row_of_a_run_is_meant_must_be_clear(saved, choice, message):
    with pytest.raises(RestorebenchError, match=message):
        explain(saved, **choice)


def test_a_run_without_its_images_says_how_to_have_them(run, saved, tmp_path):
    shutil.rmtree(saved / "outputs")
    with pytest.raises(RunFolderError, match="the saved image is gone; run the suite again with --save all"):
        explain(saved, restorer="identity")
    run(["identity"], plugins=(), out="bare", settings={"workers": 0})
    with pytest.raises(RunFolderError, match="bare has no saved images to score; run its suite with --save all"):
        explain(tmp_path / "bare")
    with pytest.raises(RunFolderError, match="holds no run"):
        explain(tmp_path)


def test_failed_images_of_a_run_are_told(run, tmp_path):
    run(["fails-on-bright"], save="all", settings={"workers": 0})
    found = explain(tmp_path / "run", settings=Settings(plugins=[PLUGINS / "faulty.py"]))
    assert found.images == 2
    assert found.notes[0] == "1 image failed and is left out"


# ---------------------------------------------------------------- metrics of other plugins

OTHER = """
from restorebench import MetricInfo, ScoringProtocol, Variant, hookimpl

def load(options, runtime, protocol):
    return lambda restored, clean, map=None: (restored - clean).abs().mean(dim=(1, 2, 3))

def variants(restored, clean, rarest):
    {body}

@hookimpl
def restorebench_metrics():
    protocols = (ScoringProtocol("rgb", "RGB"), ScoringProtocol("cut", "RGB, cut", crop_border=3))
    return [MetricInfo(name="mae", version="1", summary="Mean absolute error", load=load, variants=variants,
                       protocols=protocols, higher_is_better=False)]
"""


def other_metric(folder, body):
    file = folder / "other.py"
    file.write_text(OTHER.format(body=body))
    return Settings(plugins=[file])


def test_a_metric_of_another_plugin_has_its_protocols_and_variants(folders, tmp_path):
    restored, clean, images = folders
    settings = other_metric(
        tmp_path, 'yield Variant("rgb", (), ("in grey levels",), 1.0), 255 * abs(restored - clean).mean()'
    )
    found = means(explain(restored, clean, metrics=["mae"], settings=settings))
    error = np.mean([np.abs(a.astype(float) - b).mean() for a, b in images])
    cut = np.mean([np.abs(a.astype(float) - b)[3:-3, 3:-3].mean() for a, b in images])
    expected = {"mae@rgb": error / 255, "mae@cut": cut / 255, "mae@rgb, in grey levels": error}
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        ("return [1 / 0]", BrokenPlugin, "metric 'mae' failed computing its variants: ZeroDivisionError"),
        ("return [3]", ContractViolation, "metric 'mae': `variants` gave a int, not a pair"),
    ],
)
def test_variants_that_break_the_contract_are_blamed_on_their_metric(folders, tmp_path, body, error, message):
    with pytest.raises(error, match=message):
        explain(*folders[:2], metrics=["mae"], settings=other_metric(tmp_path, body))
