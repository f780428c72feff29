"""What all ten synthesisers owe: determinism, order of severity, any size, and their stored strength.

`python tests/plugins/test_degradations.py` prints the stored table anew.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from pydantic import ValidationError
from restorebench_degradations import restorebench_degradations, strength
from restorebench_degradations.levels import at

from restorebench import TEN, TEN_NAMES, RestorebenchError
from restorebench.contract.cards import resolve
from restorebench.toolbox import images, seeding
from restorebench.toolbox.photographs import embedded, listed
from restorebench.toolbox.synthesis import centre_crop, degrade, psnr

PHOTOGRAPHS = {path.name: path for path in embedded().values()}
CARDS = {card.name: card for card in restorebench_degradations()}
STORED = Path(__file__).with_name("degradation_strengths.json")
SIDE = 160  # of the crops: large enough for every recipe, small enough for seconds
STORED_SEVERITIES = (1, 3, 5)


@cache
def photograph(name: str) -> np.ndarray:
    crop = centre_crop(images.read(PHOTOGRAPHS[name]), SIDE)
    crop.flags.writeable = False
    return crop


def loaded(task: str, **options: object):
    card = CARDS[task]
    return resolve(card.load)(resolve(card.options)(**options), None)


def measured() -> dict[str, dict[str, list[float]]]:
    return {
        task: {
            name: [
                round(
                    psnr(degrade(loaded(task), photograph(name), task, severity), photograph(name)),
                    2,
                )
                for severity in STORED_SEVERITIES
            ]
            for name in PHOTOGRAPHS
        }
        for task in TEN_NAMES
    }


# ---------------------------------------------------------------- cards


def test_every_canonical_task_has_a_synthesiser_of_its_name():
    assert [(card.name, card.task) for card in restorebench_degradations()[:-1]] == [(t.name, t) for t in TEN]


@pytest.mark.parametrize("task", TEN_NAMES)
def test_every_preset_is_accepted_by_its_options(task):
    for settings in CARDS[task].presets.values():
        explicit = {key: value for key, value in settings.items() if key != "severity"}
        assert settings["severity"] in strength.SEVERITIES
        resolve(CARDS[task].options).model_validate(explicit)
    assert "daclip" in CARDS[task].presets


@pytest.mark.parametrize("task", ["rainy", "snowy"])
def test_versions_of_rain_and_snow_hold_that_of_the_haze_they_may_carry(task):
    assert CARDS[task].version.split(".")[-1] == CARDS["hazy"].version


@pytest.mark.parametrize("task", CARDS)
def test_unknown_option_is_rejected(task):
    with pytest.raises(ValidationError, match="Extra inputs"):
        resolve(CARDS[task].options).model_validate({**CARDS[task].test_options, "strenght": 1})


def test_listing_the_cards_imports_no_array_library():
    code = (
        "import sys, restorebench_degradations as d; d.restorebench_degradations();"
        "print([m for m in ('numpy', 'scipy', 'torch', 'PIL') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_severity_beyond_the_scale_is_refused():
    for severity in (0, 6, -1):
        with pytest.raises(RestorebenchError, match="give 1 to 5"):
            at(severity, (1, 2, 3, 4, 5))


# ---------------------------------------------------------------- what comes out


@pytest.mark.parametrize("task", TEN_NAMES)
def test_same_generator_state_gives_same_bytes(task):
    clean = photograph("coffee.png")
    first, second = (loaded(task).degrade(clean, 3, seeding.generator(7)) for _ in range(2))
    assert first.image.tobytes() == second.image.tobytes()
    assert first.parameters == second.parameters


@pytest.mark.parametrize("task", [task for task in TEN_NAMES if task != "jpeg-compressed"])  # jpeg has no chance
def test_other_seed_gives_another_image(task):
    clean = photograph("coffee.png")
    first, second = (loaded(task).degrade(clean, 3, seeding.generator(seed)).image for seed in (7, 8))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("task", TEN_NAMES)
def test_image_is_contiguous_float32_in_range_and_input_is_untouched(task):
    clean = photograph("chelsea.png").copy()
    before = clean.copy()
    degraded = loaded(task).degrade(clean, 5, seeding.generator(1))
    assert np.array_equal(clean, before)
    assert degraded.image.dtype == np.float32 and degraded.image.shape == clean.shape
    assert degraded.image.flags.c_contiguous and not np.shares_memory(degraded.image, clean)
    assert degraded.image.min() >= 0 and degraded.image.max() <= 1


@pytest.mark.parametrize("task", TEN_NAMES)
def test_parameters_survive_json_and_maps_are_float32(task):
    degraded = loaded(task).degrade(photograph("rocket.jpg"), 4, seeding.generator(2))
    assert degraded.parameters
    assert json.loads(json.dumps(dict(degraded.parameters))) == degraded.parameters
    for name, values in degraded.maps.items():
        assert values.dtype == np.float32 and np.isfinite(values).all(), name
        assert name == "kernel" or values.shape == (SIDE, SIDE)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (2, 3), (17, 23)])
@pytest.mark.parametrize("task", TEN_NAMES)
def test_tiny_images_are_degraded_without_complaint(task, shape):
    clean = np.random.default_rng(0).random((*shape, 3), dtype=np.float32)
    for severity in strength.SEVERITIES:
        image = loaded(task).degrade(clean, severity, seeding.generator(0)).image
        assert image.shape == clean.shape and np.isfinite(image).all()


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("task", TEN_NAMES)
def test_flat_grey_images_are_degraded_without_complaint(task, level):
    clean = np.full((40, 50, 3), level, dtype=np.float32)
    assert np.isfinite(loaded(task).degrade(clean, 3, seeding.generator(0)).image).all()


VARIANTS = (
    ("jpeg-compressed", {"variant": "double-jpeg", "first_quality": 30}),
    ("low-light", {"variant": "curve"}),
    ("noisy", {"variant": "poisson-gaussian"}),
    ("rainy", {"heavy": True}),
    ("snowy", {"veil": True}),
    ("shadowed", {"physical": True}),
    ("motion-blurry", {"noise": 1}),
)


@pytest.mark.parametrize(("task", "options"), VARIANTS)
def test_variant_differs_from_the_default_and_grows_with_severity(task, options):
    clean = photograph("astronaut.png")
    made = [loaded(task, **options).degrade(clean, s, seeding.generator(3)).image for s in strength.SEVERITIES]
    assert not np.array_equal(made[2], loaded(task).degrade(clean, 3, seeding.generator(3)).image)
    scores = [psnr(image, clean) for image in made]
    assert scores == sorted(scores, reverse=True)


# ---------------------------------------------------------------- strength


@pytest.mark.parametrize("task", TEN_NAMES)
def test_higher_severity_is_harder_under_common_random_numbers(task):
    ordered = [
        scores == sorted(scores, reverse=True)
        for name in PHOTOGRAPHS
        for seed in range(4)
        for scores in [
            [
                psnr(
                    loaded(task).degrade(photograph(name), severity, seeding.generator(seed)).image,
                    photograph(name),
                )
                for severity in strength.SEVERITIES
            ]
        ]
    ]
    assert np.mean(ordered) >= 0.95


@pytest.mark.parametrize("task", TEN_NAMES)
def test_draws_do_not_depend_on_the_severity(task):
    states = []
    for severity in strength.SEVERITIES:
        rng = seeding.generator(5)
        loaded(task).degrade(photograph("coffee.png"), severity, rng)
        states.append(rng.random())
    assert len(set(states)) == 1


# JPEG rises by nature and noise is per pixel.
@pytest.mark.parametrize("task", [task for task in TEN_NAMES if task not in ("jpeg-compressed", "noisy")])
def test_enlarged_photograph_keeps_its_psnr_within_2_db(task):
    small = Pillow.open(PHOTOGRAPHS["coffee.png"]).convert("RGB").crop((100, 60, 400, 300))
    for severity in (1, 3, 5):
        scores = []
        for factor in (1, 2, 3):
            size = (small.width * factor, small.height * factor)
            clean = np.asarray(small.resize(size, Pillow.Resampling.BICUBIC), np.float32) / 255
            image = loaded(task).degrade(clean, severity, seeding.generator(9)).image
            scores.append(psnr(images.quantise(image), clean))
        assert max(scores) - min(scores) < 2, (severity, scores)


def test_strength_on_the_embedded_photographs_is_the_stored_one():
    stored = json.loads(STORED.read_text())
    for task, rows in measured().items():
        for name, scores in rows.items():
            assert scores == pytest.approx(stored[task][name], abs=0.05), (task, name)


@pytest.mark.slow
@pytest.mark.parametrize("task", TEN_NAMES)
def test_strength_on_validation_photographs_is_within_1_5_db_of_the_target(task):
    shared = Path(os.environ.get("RESTOREBENCH_SHARED", Path(__file__).parents[2] / ".." / "shared"))
    folder = shared / "data" / "clean" / "val"
    if not folder.is_dir():
        pytest.skip(f"no validation photographs in {folder}; set RESTOREBENCH_SHARED to the folder above `data`")
    means, _ = strength.measure(task, [images.read(path) for path in listed(folder)[::6]])
    assert means == pytest.approx(strength.TARGETS[task], abs=1.5)


def test_strength_command_prints_a_row_per_task_and_writes_the_sheet(tmp_path, capsys):
    folder = tmp_path / "clean"
    folder.mkdir()
    images.write_png(folder / "one.png", photograph("chelsea.png")[:32, :48])
    strength.main([str(folder), "--tasks", "noisy", "hazy", "--sheet", str(tmp_path / "sheet.png")])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1].strip() for line in lines if line.startswith("|")][2:] == ["noisy", "hazy"]
    assert images.read(tmp_path / "sheet.png").shape == (2 * 32, 4 * 48, 3)


@pytest.mark.parametrize("arguments", [["/nowhere"], ["embedded", "--limit", "-1"]])
def test_strength_command_answers_bad_arguments_with_one_line(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        strength.main(arguments)
    assert arguments[-1] in capsys.readouterr().err.splitlines()[-1]


if __name__ == "__main__":
    print(json.dumps(measured(), indent=1))
