"""`paired-folder` and `unpaired` on small folders made here."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from pydantic import ValidationError
from restorebench_datasets import paired, restorebench_datasets, unpaired
from restorebench_datasets.options import Paired, Unpaired

from restorebench import CLEAN, TEN_NAMES, DataRequest, MissingResource, RestorebenchError, UnreadableImage
from restorebench.contracts import resolve

PROJECT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("RESTOREBENCH_SHARED", PROJECT.parent / "shared"))
REAL10 = SHARED / "data" / "real10"


def request(task: str) -> DataRequest:
    def find(kind: str, name: str) -> Any:
        raise AssertionError("paired data need no other plugin")

    return DataRequest(task, 0, {}, find)


def save(path: Path, level: int = 100, size: tuple[int, int] = (6, 8)) -> Path:
    """Save a plain image of (height, width) `size`, making its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.new("RGB", size[::-1], (level, level, level)).save(path)
    return path


def make(root: Path, task: str, degraded: list[str], clean: list[str]) -> Path:
    """Make <task>/LQ and <task>/GT with images of these file names, each of a level of its own."""
    for place, name in enumerate(degraded):
        save(root / task / "LQ" / name, 10 + place)
    for place, name in enumerate(clean):
        save(root / task / "GT" / name, 200 + place)
    return root


def ids(options: Paired, task: str) -> list[str]:
    return [sample.id for sample in paired.index(options, request(task))]


def error(options: Paired, task: str = "noisy") -> str:
    with pytest.raises(RestorebenchError) as caught:
        paired.index(options, request(task))
    return str(caught.value)


# ---------------------------------------------------------------- cards


def test_cards_resolve_to_their_functions() -> None:
    for card in restorebench_datasets():
        for reference in (card.load, card.index, card.options):
            assert callable(resolve(reference))
    assert [card.name for card in restorebench_datasets()] == ["paired-folder", "synthetic", "unpaired"]


# ---------------------------------------------------------------- layouts


def test_pairs_of_equal_stem_are_indexed_and_loaded_in_the_same_order(tmp_path: Path) -> None:
    options = Paired(path=make(tmp_path, "noisy", ["b.jpg", "a.png"], ["a.png", "b.png"]))
    assert ids(options, "noisy") == ["a", "b"]
    first = paired.load(options, request("noisy"))[0]
    assert first.clean is not None
    assert first.degraded.shape == first.clean.shape == (6, 8, 3)
    assert np.allclose(first.degraded, 11 / 255)
    assert np.allclose(first.clean, 200 / 255)


def test_dataset_ends_where_its_index_ends(tmp_path: Path) -> None:
    dataset = paired.load(Paired(path=make(tmp_path, "noisy", ["a.png"], ["a.png"])), request("noisy"))
    assert len(dataset) == len(list(dataset)) == 1


@pytest.mark.parametrize(
    ("folder", "degraded", "clean"),
    [
        ("Rainy", "input", "target"),
        ("rainy", "Rainy", "clean"),
        ("RAINY", "lq", "gt"),
        ("rainy", "rain", "norain"),
    ],
)
def test_folder_names_are_known_in_any_case(tmp_path: Path, folder: str, degraded: str, clean: str) -> None:
    save(tmp_path / folder / degraded / "a.png")
    save(tmp_path / folder / clean / "a.png")
    assert ids(Paired(path=tmp_path), "rainy") == ["a"]


@pytest.mark.parametrize("folder", ["hazy+rainy", "rainy+hazy"])
def test_composite_tasks_have_folders_like_any_other(tmp_path: Path, folder: str) -> None:
    make(tmp_path, folder, ["a.png"], ["a.png"])
    assert ids(Paired(path=tmp_path), "hazy+rainy") == ["a"]
    assert ids(Paired(path=tmp_path), "hazy") == []


def test_nested_folders_give_relative_ids(tmp_path: Path) -> None:
    names = ["two/a b.png", "one/ä.png"]
    assert ids(Paired(path=make(tmp_path, "noisy", names, names)), "noisy") == ["one/ä", "two/a b"]


def test_hidden_files_and_other_files_are_ignored(tmp_path: Path) -> None:
    make(tmp_path, "noisy", ["a.png", ".hidden.png", ".trash/x.png"], ["a.png"])
    (tmp_path / "noisy" / "LQ" / "list.txt").write_text("a")
    (tmp_path / "noisy" / "GT" / "list.csv").write_text("a")
    assert ids(Paired(path=tmp_path), "noisy") == ["a"]


def test_istd_rule_reads_its_own_folder_names(tmp_path: Path) -> None:
    for folder in ("test_A", "test_B", "test_C"):
        save(tmp_path / "shadowed" / folder / "90-1.png")
    assert ids(Paired(path=tmp_path, pairing="istd"), "shadowed") == ["90-1"]
    assert "expected one folder of degraded images" in error(Paired(path=tmp_path), "shadowed")


def test_explicit_folders_serve_any_task_or_the_one_named(tmp_path: Path) -> None:
    save(tmp_path / "x" / "a.png")
    save(tmp_path / "y" / "a.png")
    folders = {"degraded": tmp_path / "x", "clean": tmp_path / "y"}
    assert ids(Paired(**folders), "hazy") == ids(Paired(**folders), "noisy") == ["a"]
    assert ids(Paired(**folders, task="noisy"), "noisy") == ["a"]
    assert ids(Paired(**folders, task="noisy"), "hazy") == []


@pytest.mark.parametrize(
    "options",
    [{}, {"degraded": "x"}, {"path": "x", "degraded": "x", "clean": "y"}, {"path": "x", "task": "noisy"}],
)
def test_options_that_do_not_say_one_place_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="`"):
        Paired(**options)


# ---------------------------------------------------------------- rules


def test_many_to_one_pairs_share_a_scene(tmp_path: Path) -> None:
    make(tmp_path, "hazy", ["1_0.8_0.1.png", "1_0.9_0.2.png", "2_1_0.2.png"], ["1.png", "2.png"])
    index = paired.index(Paired(path=tmp_path, pairing="sots"), request("hazy"))
    assert [(sample.id, sample.scene) for sample in index] == [
        ("1_0.8_0.1", "1"),
        ("1_0.9_0.2", "1"),
        ("2_1_0.2", "2"),
    ]


def test_auto_never_guesses_and_says_which_rules_fit(tmp_path: Path) -> None:
    make(tmp_path, "raindrop", ["0_rain.png", "1_rain.png"], ["0_clean.png", "1_clean.png"])
    message = error(Paired(path=tmp_path), "raindrop")
    assert "set `pairing: raindrop`" in message
    assert "0_rain, 1_rain" in message
    assert ids(Paired(path=tmp_path, pairing="raindrop"), "raindrop") == ["0_rain", "1_rain"]


def test_unmatched_files_of_both_sides_are_named(tmp_path: Path) -> None:
    message = error(Paired(path=make(tmp_path, "noisy", ["a.png", "x.png"], ["a.png", "y.png"])))
    assert "1 degraded without a clean partner: x" in message
    assert "1 clean without a degraded partner: y" in message
    assert "no named rule" in message


def test_same_stem_with_two_extensions_is_named(tmp_path: Path) -> None:
    message = error(Paired(path=make(tmp_path, "noisy", ["a.png", "a.jpg"], ["a.png"])))
    assert "a.jpg, a.png" in message


def test_pairs_of_different_size_are_named_with_both_sizes(tmp_path: Path) -> None:
    make(tmp_path, "noisy", ["a.png"], ["a.png"])
    save(tmp_path / "noisy" / "LQ" / "b.png", size=(6, 8))
    save(tmp_path / "noisy" / "GT" / "b.png", size=(6, 9))
    assert "b.png 6 x 8 against 6 x 9" in error(Paired(path=tmp_path))


def test_folder_without_images_is_named(tmp_path: Path) -> None:
    make(tmp_path, "noisy", [], ["a.png"])
    (tmp_path / "noisy" / "LQ").mkdir()
    (tmp_path / "noisy" / "LQ" / "notes.txt").write_text("none")
    assert f"{tmp_path / 'noisy' / 'LQ'}: holds no image" in error(Paired(path=tmp_path))


def test_missing_root_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MissingResource, match=r"absent.*<task>/LQ"):
        paired.index(Paired(path=tmp_path / "absent"), request("noisy"))
    with pytest.raises(MissingResource, match="absent"):
        paired.index(Paired(degraded=tmp_path / "absent", clean=tmp_path), request("noisy"))


def test_root_without_the_task_gives_an_empty_index(tmp_path: Path) -> None:
    options = Paired(path=make(tmp_path, "noisy", ["a.png"], ["a.png"]))
    assert paired.index(options, request("hazy")) == []
    assert len(paired.load(options, request("hazy"))) == 0


def test_two_candidates_for_one_side_are_both_named(tmp_path: Path) -> None:
    make(tmp_path, "noisy", ["a.png"], ["a.png"])
    save(tmp_path / "noisy" / "input" / "a.png")
    assert "found LQ, input" in error(Paired(path=tmp_path))


def test_unreadable_file_is_named_while_indexing(tmp_path: Path) -> None:
    make(tmp_path, "noisy", ["a.png"], ["a.png"])
    (tmp_path / "noisy" / "LQ" / "a.png").write_bytes(b"")
    with pytest.raises(UnreadableImage, match=r"LQ/a\.png"):
        paired.index(Paired(path=tmp_path), request("noisy"))


# ---------------------------------------------------------------- crop, digest, manifest, clean


def test_crop_is_centred_and_never_resizes(tmp_path: Path) -> None:
    pixels = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
    for side in ("LQ", "GT"):
        path = save(tmp_path / "noisy" / side / "a.png")
        PIL.Image.fromarray(pixels).save(path)
    options = Paired(path=tmp_path, crop=4)
    (info,) = paired.index(options, request("noisy"))
    assert (info.height, info.width) == (4, 4)
    sample = paired.load(options, request("noisy"))[0]
    assert (sample.degraded == pixels[1:5, 2:6].astype(np.float32) / 255).all()


def test_image_smaller_than_the_crop_is_named(tmp_path: Path) -> None:
    message = error(Paired(path=make(tmp_path, "noisy", ["a.png"], ["a.png"]), crop=7))
    assert "a.png: is 6 x 8" in message


def test_digest_follows_the_bytes_of_both_files_and_the_crop(tmp_path: Path) -> None:
    root = make(tmp_path / "root", "noisy", ["a.png"], ["a.png"])
    options = Paired(path=root)

    def digest(chosen: Paired) -> str:
        return paired.index(chosen, request("noisy"))[0].digest

    seen = [digest(options), digest(Paired(path=root, crop=4))]
    for side in ("LQ", "GT"):
        save(root / "noisy" / side / "a.png", 42)
        seen.append(digest(options))
    assert len(set(seen)) == 4
    moved = root.rename(tmp_path / "moved")
    assert digest(Paired(path=moved)) == seen[-1]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("derived: real measured kernel", "derived"),
        ("real bracket (pairing derived here)", "derived"),
        ("real-captured blur", "captured"),
        ("as captured", "captured"),
        ("synthetic AWGN", "synthetic"),
        ("dataset pair", "published"),
        ("", "published"),
    ],
)
def test_manifest_gives_scene_and_kind(tmp_path: Path, text: str, kind: str) -> None:
    make(tmp_path, "noisy", ["a.png", "b.png"], ["a.png", "b.png"])
    (tmp_path / "manifest.csv").write_text(f'task,name,kind,scene_group\nnoisy,a,"{text}",room\n')
    first, second = paired.index(Paired(path=tmp_path), request("noisy"))
    assert (first.scene, first.kind) == ("room", kind)
    assert (second.scene, second.kind) == ("b", "published")


def test_manifest_without_its_columns_is_named(tmp_path: Path) -> None:
    make(tmp_path, "noisy", ["a.png"], ["a.png"])
    (tmp_path / "manifest.csv").write_text("task,file\nnoisy,a\n")
    message = error(Paired(path=tmp_path))
    assert "manifest.csv" in message and "name" in message


def test_clean_task_gives_each_clean_image_once(tmp_path: Path) -> None:
    make(tmp_path, "hazy", ["1_1_0.2.png", "1_1_0.3.png"], ["1.png"])
    make(tmp_path, "rainy", ["7_1_1.png"], ["7.png"])
    save(tmp_path / "rainy" / "GT" / "7.png", 33)
    make(tmp_path, "snowy", ["x_1_1.png"], ["x.png"])  # its clean image has the bytes of hazy's
    options = Paired(path=tmp_path, pairing="sots")
    assert ids(options, CLEAN) == ["hazy/1", "rainy/7"]
    sample = paired.load(options, request(CLEAN))[1]
    assert sample.clean is not None
    assert (sample.degraded == sample.clean).all()
    assert np.allclose(sample.clean, 33 / 255)


def test_clean_task_of_explicit_folders_is_their_clean_folder(tmp_path: Path) -> None:
    save(tmp_path / "x" / "a.png", 1)
    save(tmp_path / "y" / "a.png", 2)
    folders = {"degraded": tmp_path / "x", "clean": tmp_path / "y"}
    assert ids(Paired(**folders), CLEAN) == ["a"]
    assert ids(Paired(**folders, task="noisy"), CLEAN) == ["noisy/a"]


# ---------------------------------------------------------------- unpaired


def test_unpaired_folder_serves_any_task_without_a_ground_truth(tmp_path: Path) -> None:
    save(tmp_path / "b.png")
    save(tmp_path / "sub" / "a.jpg", size=(3, 5))
    options = Unpaired(path=tmp_path)
    index = unpaired.index(options, request("hazy"))
    assert [(sample.id, sample.height, sample.width) for sample in index] == [("b", 6, 8), ("sub/a", 3, 5)]
    assert index == unpaired.index(options, request("noisy"))
    dataset = unpaired.load(options, request("hazy"))
    assert [sample.clean for sample in dataset] == [None, None]
    assert dataset[1].degraded.shape == (3, 5, 3)


def test_unpaired_takes_a_single_file(tmp_path: Path) -> None:
    options = Unpaired(path=save(tmp_path / "one image.png"))
    assert [sample.id for sample in unpaired.index(options, request("hazy"))] == ["one image"]
    assert len(unpaired.load(options, request("hazy"))) == 1


def test_unpaired_without_its_path_says_so(tmp_path: Path) -> None:
    with pytest.raises(MissingResource, match="absent"):
        unpaired.index(Unpaired(path=tmp_path / "absent"), request("hazy"))


# ---------------------------------------------------------------- published pairs


@pytest.mark.skipif(not REAL10.is_dir(), reason=f"no real pairs at {REAL10}; set RESTOREBENCH_SHARED")
def test_real_pairs_are_all_indexed() -> None:
    options = Paired(path=REAL10)
    index = {task: paired.index(options, request(task)) for task in TEN_NAMES}
    assert {task: len(samples) for task, samples in index.items()} == {
        "motion-blurry": 14,
        "hazy": 9,
        "jpeg-compressed": 12,
        "low-light": 12,
        "noisy": 12,
        "raindrop": 3,
        "rainy": 8,
        "shadowed": 12,
        "snowy": 6,
        "uncompleted": 12,
    }
    kinds = Counter(sample.kind for samples in index.values() for sample in samples)
    assert set(kinds) == {"captured", "published", "derived", "synthetic"}
    assert len({sample.scene for sample in index["motion-blurry"]}) < 14  # several shots of one scene
