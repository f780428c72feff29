"""Every bundled suite plans on data laid out as it says, with the file names their authors published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from restorebench import TEN_NAMES, MissingResource, composite
from restorebench.contract.catalog import discover
from restorebench.plan.build import build
from restorebench.suite import loading as suites
from restorebench.suite.settings import Request

# Degraded and clean names of the test sets of DA-CLIP; RESIDE-6k has several hazy images of one clean one.
PUBLISHED = {
    "motion-blurry": [("GOPR0384_11_00-000001.png",) * 2, ("GOPR0384_11_05-004001.png",) * 2],
    "hazy": [
        ("0001_0.8_0.2.jpg", "0001.png"),
        ("0001_0.95_0.12.jpg", "0001.png"),
        ("1400_1_1.79.png", "1400.png"),
    ],
    "jpeg-compressed": [("bikes.jpg", "bikes.png"), ("sailing1.jpg", "sailing1.png")],
    "low-light": [("1.png",) * 2, ("778.png",) * 2],
    "noisy": [("101085.png",) * 2, ("3096.png",) * 2],
    "raindrop": [("0_rain.png", "0_clean.png"), ("10_rain.png", "10_clean.png"), ("2_rain.png", "2_clean.png")],
    "rainy": [
        ("rain-001.png", "norain-001.png"),
        ("rain-010.png", "norain-010.png"),
        ("rain-2.png", "norain-002.png"),
    ],
    "shadowed": [("IMG_6456.jpg", "IMG_6456_no_shadow.jpg"), ("_MG_2380.jpg", "_MG_2380_free.jpg")],
    "snowy": [("beautiful_smile_00014.jpg",) * 2, ("beautiful_smile_18862.jpg",) * 2],
    "uncompleted": [("00000.png",) * 2, ("00099.png",) * 2],
}


def save(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with everything that the bundled suites look for."""
    root = tmp_path_factory.mktemp("data")
    for number in range(3):
        save(root / "clean" / "val" / f"{number}.png", number)
    for number, task in enumerate(TEN_NAMES):
        save(root / "real10" / task / "LQ" / "a.png", number)
        save(root / "real10" / task / "GT" / "a.png", 100 + number)
    for task, names in PUBLISHED.items():
        for number, (degraded, clean) in enumerate(names):
            save(root / "daclip" / task / "LQ" / degraded, number)
            save(root / "daclip" / task / "GT" / clean, 100 + number)
    for task, degraded, clean in (
        ("hazy", "0001_0.8_0.2.jpg", "0001.png"),
        ("rainy", "rain-001.png", "rain-001.png"),
    ):
        save(root / "airnet" / task / "LQ" / degraded, 0)
        save(root / "airnet" / task / "GT" / clean, 1)
    save(root / "airnet" / "bsd68" / "101085.png", 2)
    return root


@pytest.fixture(scope="module")
def catalog():
    return discover()


@pytest.mark.parametrize("name", sorted(suites.bundled()))
def test_every_suite_plans(name, data, catalog):
    loaded = suites.load(name, data=data)
    missing = [catalog.entry("restorer", entry.name).unavailable for entry in loaded.suite.restorers]
    if any(missing):
        pytest.skip(next(filter(None, missing)))
    plan = build(loaded, catalog)
    assert {cell.data.task for cell in plan.restorer_cells} - {"clean"} == set(loaded.suite.tasks)
    not_here = ("cannot be computed here", "is optional and left out")  # weights that are not in the cache
    assert [note for note in plan.notes if not any(reason in note for reason in not_here)] == []
    assert all(composite(task.split("+")) == task for task in loaded.suite.tasks)  # in the order of the tables


def test_a_suite_sets_its_detector_against_a_random_label(data, catalog):
    plan = build(suites.load("real10", data=data), catalog)
    assert {cell.tell for cell in plan.restorer_cells if cell.label == "classical"} == {
        "task",
        "statistics",
        "random",
        "daclip-compact",
    }
    assert {cell.label for cell in plan.detector_cells} == {"statistics", "daclip-compact", "random"}


@pytest.mark.parametrize("name", ["quickstart", "real10"])
def test_clean_rows_say_what_was_altered(name, data, catalog):
    plan = build(suites.load(name, data=data), catalog)
    scored = {cell.data.task: {column.name for column in cell.columns} for cell in plan.restorer_cells}
    assert {task for task, columns in scored.items() if "altered@rgb" in columns} == {"clean"}


def test_the_published_layout_pairs_by_name(data, catalog):
    plan = build(suites.load("daclip-table", data=data), catalog)
    found = {cell.data.task: [sample.id for sample in cell.data.samples] for cell in plan.restorer_cells}
    assert found == {
        task: sorted(Path(degraded).with_suffix("").name for degraded, _ in names)
        for task, names in PUBLISHED.items()
    }
    scenes = {cell.data.task: {sample.scene for sample in cell.data.samples} for cell in plan.restorer_cells}
    assert {task: len(of_task) for task, of_task in scenes.items()} == {
        task: len({clean for _, clean in names}) for task, names in PUBLISHED.items()
    }


def test_part_of_the_published_sets_can_be_asked_for(data, catalog):
    plan = build(suites.load("daclip-table", data=data), catalog, Request(tasks=("rainy", "hazy")))
    assert {cell.data.label for cell in plan.restorer_cells} == {"rain100h", "reside-6k"}


def test_a_set_that_is_not_there_is_named(data, catalog, tmp_path):
    for task in set(TEN_NAMES) - {"snowy"}:
        (tmp_path / task).symlink_to(data / "daclip" / task)
    loaded = suites.load("daclip-table", [f"sets={tmp_path}"])
    with pytest.raises(MissingResource, match="dataset snow100k holds no images for any of: snowy"):
        build(loaded, catalog)
