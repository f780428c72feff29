"""`synthetic`: ids, seeds, crops and digests, with degradations made up here."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from pydantic import Field, ValidationError, field_validator
from restorebench_datasets import synthetic
from restorebench_datasets.options import Synthetic
from restorebench_degradations import restorebench_degradations

from restorebench import (
    CLEAN,
    DataRequest,
    DegradationInfo,
    Degraded,
    MissingResource,
    RestorebenchError,
    Stage,
    Task,
    UnknownName,
)
from restorebench.toolbox import images, photographs, seeding, synthesis
from restorebench.toolbox.options import PluginOptions


class NoiseOptions(PluginOptions):
    sigma: float | None = Field(None, gt=0, description="noise level of 255")


class CompositeOptions(PluginOptions):
    parts: tuple[dict[str, Any], ...]
    order: str


class Noise:
    """Gaussian noise of 10 levels per severity, unclipped, with a map of the image and a small kernel."""

    def __init__(self, options: NoiseOptions, runtime: Any) -> None:
        self._sigma = options.sigma

    def degrade(self, clean: np.ndarray, severity: int, rng: np.random.Generator) -> Degraded:
        sigma = self._sigma or 10.0 * severity
        drawn = rng.standard_normal(clean.shape, dtype=np.float32)
        maps = {"drawn": drawn[:, :, 0], "kernel": np.ones((3, 3), np.float32)}
        return Degraded(clean + np.float32(sigma / 255) * drawn, {"sigma": sigma}, maps)


class Mixture:
    def __init__(self, options: CompositeOptions, runtime: Any) -> None:
        self._options = options

    def degrade(self, clean: np.ndarray, severity: int, rng: np.random.Generator) -> Degraded:
        return Degraded(clean / 2, {"parts": list(self._options.parts), "order": self._options.order})


def card(name: str, **facts: Any) -> DegradationInfo:
    return DegradationInfo(
        name=name,
        version="1",
        summary="for tests",
        load=facts.pop("load", Noise),
        options=facts.pop("options", NoiseOptions),
        task=Task(name, name, name),
        stage=Stage.SENSOR,
        **facts,
    )


CARDS = {
    "noisy": card("noisy", presets={"daclip": {"sigma": 50.0}, "mild": {"sigma": 5.0, "severity": 1}}),
    "hazy": card("hazy"),
    "composite": card("composite", load=Mixture, options=CompositeOptions),
}
REAL = {each.name: each for each in restorebench_degradations()}
"""What users have, where a test is about that."""


def request(task: str, seed: int = 0, cards: dict[str, DegradationInfo] = CARDS) -> DataRequest:
    def find(kind: str, name: str) -> DegradationInfo:
        assert kind == "degradation"
        if name not in cards:
            raise UnknownName(f"no degradation called {name!r}")
        return cards[name]

    return DataRequest(task, seed, {}, find)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two small photographs, `a` of 12 x 10 and `b` of 10 x 14 (height x width)."""
    place = tmp_path / "photographs"
    place.mkdir()
    rng = np.random.Generator(np.random.Philox(3))
    for name, size in (("a", (12, 10, 3)), ("b", (10, 14, 3))):
        PIL.Image.fromarray(rng.integers(0, 256, size, dtype=np.uint8)).save(place / f"{name}.png")
    return place


def ids(options: Synthetic, task: str = "noisy") -> list[str]:
    return [sample.id for sample in synthetic.index(options, request(task))]


# ---------------------------------------------------------------- what is listed


def test_embedded_photographs_are_listed_and_each_is_a_scene() -> None:
    index = synthetic.index(Synthetic(), request("noisy"))
    assert [sample.id for sample in index] == [
        "astronaut@3",
        "chelsea@3",
        "coffee@3",
        "rocket@3",
        "motorcycle_left@3",
        "camera@3",
    ]
    assert len({sample.scene for sample in index}) == 6
    assert {sample.kind for sample in index} == {"synthetic"}
    assert (index[0].height, index[0].width) == (512, 512)


def test_a_scene_is_a_photograph_whatever_its_name(folder: Path) -> None:
    def scenes(place: Path) -> list[str]:
        return [sample.scene for sample in synthetic.index(Synthetic(clean=place), request("noisy"))]

    other = folder.with_name("other")
    other.mkdir()
    PIL.Image.new("RGB", (9, 9)).save(other / "a.png")  # of the name of another photograph
    (other / "z.png").write_bytes((folder / "b.png").read_bytes())  # the same photograph under another name
    a, b = scenes(folder)
    assert scenes(other)[1] == b
    assert len({a, b, scenes(other)[0]}) == 3


def test_embedded_photographs_are_found_without_importing_scikit_image() -> None:
    program = (
        "import sys; from restorebench import DataRequest; from restorebench_datasets import synthetic; "
        "from restorebench_datasets.options import Synthetic; "
        "assert len(synthetic.index(Synthetic(), DataRequest('clean', 0, {}, print))) == 6; "
        "print([name for name in ('skimage', 'torch', 'numpy') if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert printed.strip() == "[]"


def test_absent_scikit_image_is_a_missing_resource(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photographs, "find_spec", lambda name: None)
    with pytest.raises(MissingResource, match="scikit-image"):
        synthetic.index(Synthetic(), request("noisy"))


def test_samples_go_by_photograph_and_then_by_severity(folder: Path) -> None:
    assert ids(Synthetic(clean=folder, severities=(5, 1))) == ["a@5", "a@1", "b@5", "b@1"]


def test_clean_task_gives_each_photograph_once_and_untouched(folder: Path) -> None:
    options = Synthetic(clean=folder, severities=(1, 2))
    assert ids(options, CLEAN) == ["a", "b"]
    sample = synthetic.load(options, request(CLEAN))[0]
    assert (sample.degraded == images.read(folder / "a.png")).all()
    assert sample.clean is sample.degraded


def test_one_severity_may_be_given_as_a_number() -> None:
    assert Synthetic(severities=2).severities == (2,)


@pytest.mark.parametrize("severities", [[], [0], [6], [2, 2]])
def test_severities_are_different_numbers_from_1_to_5(severities: list[int]) -> None:
    with pytest.raises(ValidationError):
        Synthetic(severities=severities)


def test_missing_folder_of_photographs_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingResource, match="absent"):
        synthetic.index(Synthetic(clean=tmp_path / "absent"), request("noisy"))


def test_one_file_is_a_source_of_one_photograph(folder: Path) -> None:
    file = (folder / "a.png").rename(folder / "a photograph")  # what is named is taken whatever its suffix
    assert ids(Synthetic(clean=file)) == ["a photograph@3"]


def test_a_folder_that_may_not_be_read_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(MissingResource, match="photographs: cannot be read"):
        ids(Synthetic(clean=folder))


def test_photograph_smaller_than_the_crop_is_named(folder: Path) -> None:
    with pytest.raises(RestorebenchError, match=r"a\.png: is 12 x 10.*crop of 11"):
        synthetic.index(Synthetic(clean=folder, crop=11), request("noisy"))


# ---------------------------------------------------------------- pixels


def test_item_is_a_pure_function_of_its_place(folder: Path) -> None:
    options = Synthetic(clean=folder, severities=(1, 3))
    forwards = synthetic.load(options, request("noisy"))
    in_order = [forwards[place].degraded for place in range(4)]
    backwards = synthetic.load(options, request("noisy"))
    for place in (3, 0, 2, 1):
        assert (backwards[place].degraded == in_order[place]).all()


def test_whole_image_is_degraded_from_its_own_seed_and_then_cropped_and_rounded(folder: Path) -> None:
    sample = synthetic.load(Synthetic(clean=folder, crop=6), request("noisy", seed=7))[0]
    whole = images.read(folder / "a.png")
    rng = seeding.generator(7, images.pixel_digest(whole), "noisy", 3)
    expected = whole + np.float32(30 / 255) * rng.standard_normal(whole.shape, dtype=np.float32)
    rounded = np.rint(np.clip(expected, 0, 1) * 255)[3:9, 2:8]
    assert (np.rint(sample.degraded * 255) == rounded).all()
    assert sample.clean is not None
    assert (sample.clean == whole[3:9, 2:8]).all()
    assert sample.parameters == {"severity": 3, "sigma": 30.0}


def test_scripts_see_the_images_that_the_dataset_gives(folder: Path) -> None:
    options = Synthetic(clean=folder, crop=9, severities=4)
    clean = images.read(folder / "b.png")
    noise = Noise(NoiseOptions(), None)
    expected = synthesis.centre_crop(synthesis.degrade(noise, clean, "noisy", 4, seed=7), 9)
    assert (synthetic.load(options, request("noisy", seed=7))[1].degraded == expected).all()


def test_rounded_image_is_what_a_png_would_give_back(folder: Path, tmp_path: Path) -> None:
    sample = synthetic.load(Synthetic(clean=folder), request("noisy"))[0]
    images.write_png(tmp_path / "saved.png", sample.degraded)
    assert (images.read(tmp_path / "saved.png") == sample.degraded).all()


def test_float_images_are_neither_rounded_nor_clipped(folder: Path) -> None:
    sample = synthetic.load(Synthetic(clean=folder, severities=5, quantise="float"), request("noisy"))[0]
    assert sample.degraded.dtype == np.float32
    assert sample.degraded.max() > 1


def test_maps_of_the_image_are_cropped_with_it_and_others_are_not(folder: Path) -> None:
    sample = synthetic.load(Synthetic(clean=folder, crop=6), request("noisy"))[0]
    assert sample.maps["drawn"].shape == (6, 6)
    assert sample.maps["kernel"].shape == (3, 3)


def test_another_seed_or_photograph_gives_other_noise(folder: Path) -> None:
    options = Synthetic(clean=folder, quantise="float", crop=8)
    drawn = [
        synthetic.load(options, request("noisy", seed))[place].maps["drawn"]
        for seed, place in ((0, 0), (1, 0), (0, 1))
    ]
    assert not np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


def test_decoded_photograph_cannot_be_changed_by_a_degradation(folder: Path) -> None:
    class Vandal(Noise):
        def degrade(self, clean: np.ndarray, severity: int, rng: np.random.Generator) -> Degraded:
            clean[:] = 0
            return Degraded(clean, {})

    cards = {"noisy": card("noisy", load=Vandal)}
    with pytest.raises(ValueError, match="read-only"):
        synthetic.load(Synthetic(clean=folder), request("noisy", cards=cards))[0]


# ---------------------------------------------------------------- options of the degradation


def test_preset_replaces_the_severities(folder: Path) -> None:
    options = Synthetic(clean=folder, preset="daclip", severities=(1, 2))
    assert ids(options) == ["a@daclip", "b@daclip"]
    assert synthetic.load(options, request("noisy"))[0].parameters == {"severity": 3, "sigma": 50.0}


def test_preset_may_say_which_severity_it_stands_for(folder: Path) -> None:
    sample = synthetic.load(Synthetic(clean=folder, preset="mild"), request("noisy"))[0]
    assert sample.parameters == {"severity": 1, "sigma": 5.0}


def test_unknown_preset_is_named_with_those_that_exist(folder: Path) -> None:
    with pytest.raises(RestorebenchError, match=r"'noisy' has no preset 'daclipp'.*daclip, mild"):
        ids(Synthetic(clean=folder, preset="daclipp"))


def test_explicit_options_reach_the_degradation(folder: Path) -> None:
    options = Synthetic(clean=folder, degradations={"noisy": {"sigma": 25}})
    assert ids(options) == ["a@3", "b@3"]
    assert synthetic.load(options, request("noisy"))[0].parameters["sigma"] == 25


def test_explicit_options_and_a_preset_together_are_refused(folder: Path) -> None:
    with pytest.raises(RestorebenchError, match="both explicit options and the preset"):
        ids(Synthetic(clean=folder, preset="daclip", degradations={"noisy": {"sigma": 25}}))


def test_option_that_does_not_fit_names_degradation_and_field(folder: Path) -> None:
    with pytest.raises(RestorebenchError, match="'noisy': sigma"):
        ids(Synthetic(clean=folder, degradations={"noisy": {"sigma": -1}}))


def test_a_degradation_whose_check_of_options_fails_is_named(folder: Path) -> None:
    class Broken(PluginOptions):
        sigma: float = 1

        @field_validator("sigma")
        @classmethod
        def _check(cls, value: float) -> float:
            raise KeyError("no sigma")

    cards = {"noisy": card("noisy", options=Broken)}
    options = Synthetic(clean=folder, degradations={"noisy": {"sigma": 2}})
    with pytest.raises(RestorebenchError, match="degradation 'noisy' failed checking its options: KeyError"):
        synthetic.index(options, request("noisy", cards=cards))


def test_options_for_a_misspelt_degradation_are_not_ignored(folder: Path) -> None:
    with pytest.raises(UnknownName, match="nosiy"):
        ids(Synthetic(clean=folder, degradations={"nosiy": {"sigma": 25}}))


def test_composite_task_is_made_by_the_composite_degradation(folder: Path) -> None:
    options = Synthetic(clean=folder, order="cdd", degradations={"noisy": {"sigma": 25}})
    sample = synthetic.load(options, request("hazy+noisy"))[0]
    parts = [{"name": "hazy", "options": {}}, {"name": "noisy", "options": {"sigma": 25}}]
    assert sample.parameters == {"severity": 3, "parts": parts, "order": "cdd"}
    assert ids(options, "hazy+noisy") == ["a@3", "b@3"]


@pytest.mark.parametrize("name", ["composite", "hazy+noisy"])
def test_options_for_a_mixture_are_refused_with_what_to_set(name: str) -> None:
    with pytest.raises(ValidationError, match=r"would go unread.*`order: cdd` beside `degradations`"):
        Synthetic(degradations={name: {"order": "cdd"}})


def test_options_of_a_part_are_checked_before_anything_runs(folder: Path) -> None:
    with pytest.raises(RestorebenchError, match="'noisy': sigma"):
        ids(Synthetic(clean=folder, degradations={"noisy": {"sigma": -1}}), "hazy+noisy")


def test_the_order_of_a_mixtures_name_does_not_matter(folder: Path) -> None:
    options, asked = Synthetic(clean=folder), ("hazy+noisy", "noisy+hazy")
    first, second = (synthetic.index(options, request(task, cards=REAL)) for task in asked)
    assert first == second
    one, other = (synthetic.load(options, request(task, cards=REAL))[0] for task in asked)
    assert (one.degraded == other.degraded).all()
    assert one.parameters == other.parameters


def test_a_mixture_that_names_a_degradation_twice_is_refused(folder: Path) -> None:
    with pytest.raises(RestorebenchError, match="'noisy\\+noisy' names a degradation twice"):
        ids(Synthetic(clean=folder), "noisy+noisy")


@pytest.mark.parametrize("task", ["noisy", "hazy+noisy"])
def test_noise_stays_unclipped_only_as_float_and_without_clipping(folder: Path, task: str) -> None:
    unclipped = {"noisy": {"clip": False, "sigma": 75}}
    with pytest.raises(RestorebenchError, match=r"'noisy': clip: false is undone.*`quantise: float`"):
        synthetic.index(Synthetic(clean=folder, degradations=unclipped), request(task, cards=REAL))

    def largest(degradations: dict[str, Any]) -> float:
        options = Synthetic(clean=folder, quantise="float", degradations=degradations)
        return float(synthetic.load(options, request(task, cards=REAL))[0].degraded.max())

    assert largest({"noisy": {"sigma": 75}}) == 1
    assert largest(unclipped) > 1


def test_preset_of_a_composite_is_refused(folder: Path) -> None:
    with pytest.raises(RestorebenchError, match="single degradations"):
        ids(Synthetic(clean=folder, preset="daclip"), "hazy+noisy")


# ---------------------------------------------------------------- digests


def test_digest_follows_everything_that_decides_the_pixels(folder: Path) -> None:
    newer = {**CARDS, "noisy": replace(CARDS["noisy"], version="2")}
    listed = [
        synthetic.index(Synthetic(clean=folder, **options), asked)[0].digest
        for options, asked in [
            ({}, request("noisy")),
            ({}, request("noisy", seed=1)),
            ({}, request("noisy", cards=newer)),
            ({}, request("hazy")),
            ({}, request("hazy+noisy")),
            ({}, request("hazy+noisy", cards=newer)),
            ({}, request(CLEAN)),
            ({"severities": 2}, request("noisy")),
            ({"crop": 8}, request("noisy")),
            ({"quantise": "float"}, request("noisy")),
            ({"preset": "daclip"}, request("noisy")),
            ({"degradations": {"noisy": {"sigma": 30}}}, request("noisy")),
            ({"order": "cdd"}, request("hazy+noisy")),
        ]
    ]
    PIL.Image.new("RGB", (10, 12)).save(folder / "a.png")
    listed.append(synthetic.index(Synthetic(clean=folder), request("noisy"))[0].digest)
    assert len(set(listed)) == len(listed)


def test_digest_does_not_follow_what_leaves_the_pixels_alone(folder: Path) -> None:
    one = synthetic.index(Synthetic(clean=folder), request("noisy"))[0]
    others = Synthetic(clean=folder, severities=(3, 4), degradations={"hazy": {"sigma": 2}}, order="cdd")
    moved = folder.rename(folder.with_name("moved"))
    assert synthetic.index(others.model_copy(update={"clean": moved}), request("noisy"))[0] == one


class WithFile(PluginOptions):
    streaks: Path | None = Field(None, description="a file of streaks")


@pytest.mark.parametrize("task", ["noisy", "hazy+noisy"])
def test_digest_knows_a_file_of_a_degradation_by_its_content(folder: Path, tmp_path: Path, task: str) -> None:
    def digest_with(file: Path) -> str:
        options = Synthetic(clean=folder, degradations={"noisy": {"streaks": str(file)}})
        cards = {**CARDS, "noisy": card("noisy", options=WithFile)}
        return synthetic.index(options, request(task, cards=cards))[0].digest

    file = tmp_path / "streaks.bin"
    file.write_bytes(b"one")
    first = digest_with(file)
    moved = file.rename(tmp_path / "moved.bin")
    assert digest_with(moved) == first
    moved.write_bytes(b"two")
    assert digest_with(moved) != first
