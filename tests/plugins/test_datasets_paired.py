"""`paired-folder` and `unpaired` on small folders made here."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import PIL.Image
import pytest
from pydantic import ValidationError
from restorebench_datasets import paired, restorebench_datasets, unpaired
from restorebench_datasets.manifest import KINDS
from restorebench_datasets.options import Paired, Unpaired

from restorebench import CLEAN, TEN_NAMES, DataRequest, MissingResource, RestorebenchError, UnreadableImage
from restorebench.contract.cards import resolve

PROJECT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("RESTOREBENCH_SHARED", PROJECT.parent / "shared"))
REAL10 = SHARED / "data" / "real10"


def request(task: str) -> DataRequest:
    def find(kind: str, name: str) -> Any:
        raise AssertionError("paired data need no other plugin")

    return DataRequest(task, 0, {}, find)


def save(path: Path, level: int | None = None, size: tuple[int, int] = (6, 8)) -> Path:
    """Save a plain image of (height, width) `size`, making its folders. Its grey level follows from its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if level is None:
        level = crc32(path.parent.name.encode()) % 256
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


@pytest.mark.parametrize("folder", ["hazy+rainy", "Rainy+hazy"])
@pytest.mark.parametrize("task", ["hazy+rainy", "rainy+hazy"])
def test_parts_of_a_mixture_may_stand_in_any_order(tmp_path: Path, folder: str, task: str) -> None:
    make(tmp_path, folder, ["a.png"], ["a.png"])
    (tmp_path / "manifest.csv").write_text("task,name,scene\nrainy+hazy,a,room\n")
    (sample,) = paired.index(Paired(path=tmp_path), request(task))
    assert (sample.id, sample.scene) == ("a", "room")
    assert len(paired.load(Paired(path=tmp_path), request(task))) == 1
    assert ids(Paired(path=tmp_path), "hazy") == []
    explicit = Paired(degraded=tmp_path / folder / "LQ", clean=tmp_path / folder / "GT", task="rainy+hazy")
    assert ids(explicit, task) == ["a"]


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
    assert [sample.id for sample in index] == ["1_0.8_0.1", "1_0.9_0.2", "2_1_0.2"]
    first, second, third = (sample.scene for sample in index)
    assert first == second != third


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


def test_clean_images_are_cut_to_their_partner_only_when_told(tmp_path: Path) -> None:
    pixels = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
    save(tmp_path / "hazy" / "LQ" / "a.png", size=(4, 4))
    PIL.Image.fromarray(pixels).save(save(tmp_path / "hazy" / "GT" / "a.png"))
    message = error(Paired(path=tmp_path), "hazy")
    assert "a.png 4 x 4 against 6 x 8" in message
    assert "set `clean_crop: centre`" in message
    options = Paired(path=tmp_path, clean_crop="centre")
    (info,) = paired.index(options, request("hazy"))
    assert (info.height, info.width) == (4, 4)
    for task in ("hazy", CLEAN):
        sample = paired.load(options, request(task))[0]
        assert sample.clean is not None
        assert (sample.clean == pixels[1:5, 2:6].astype(np.float32) / 255).all()
        assert sample.degraded.shape == (4, 4, 3)


def test_pairs_of_two_sizes_are_kept_when_told(tmp_path: Path) -> None:
    save(tmp_path / "hazy" / "LQ" / "a.png", size=(4, 4))
    save(tmp_path / "hazy" / "GT" / "a.png", size=(7, 6))
    assert "a.png 4 x 4 against 7 x 6" in error(Paired(path=tmp_path), "hazy")
    options = Paired(path=tmp_path, sizes="any")
    (info,) = paired.index(options, request("hazy"))
    assert (info.height, info.width) == (4, 4)
    sample = paired.load(options, request("hazy"))[0]
    assert sample.clean is not None
    assert (sample.degraded.shape, sample.clean.shape) == ((4, 4, 3), (7, 6, 3))
    with pytest.raises(ValueError, match="`sizes: any` has no meaning"):
        Paired(path=tmp_path, sizes="any", clean_crop="centre")


@pytest.mark.parametrize("size", [(5, 8), (6, 6), (7, 8)])
def test_clean_images_without_a_common_centre_are_named(tmp_path: Path, size: tuple[int, int]) -> None:
    save(tmp_path / "hazy" / "LQ" / "a.png", size=(6, 8))
    save(tmp_path / "hazy" / "GT" / "a.png", size=size)
    message = error(Paired(path=tmp_path, clean_crop="centre"), "hazy")
    assert f"a.png 6 x 8 against {size[0]} x {size[1]}" in message
    assert "clean_crop" not in message


def test_a_degraded_file_that_is_a_copy_of_its_clean_one_is_named(tmp_path: Path) -> None:
    make(tmp_path, "noisy", ["a.png", "b.png"], ["a.png"])
    save(tmp_path / "noisy" / "LQ" / "b.png", 7)
    save(tmp_path / "noisy" / "GT" / "b.png", 7)
    assert "1 file is byte for byte its clean partner: b.png" in error(Paired(path=tmp_path))
    folders = {"degraded": tmp_path / "noisy" / "LQ", "clean": tmp_path / "noisy" / "GT"}
    assert "b.png" in error(Paired(**folders, task="noisy"))
    assert ids(Paired(**folders), "noisy") == ["a", "b"]  # restored images to be scored may be perfect
    assert len(ids(Paired(path=tmp_path), CLEAN)) == 2


@pytest.mark.parametrize("closed", ["noisy", "noisy/LQ/inner", "manifest.csv", "noisy/GT/a.png"])
def test_what_may_not_be_read_is_named(tmp_path: Path, closed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "noisy", ["a.png", "inner/b.png"], ["a.png", "inner/b.png"])
    (tmp_path / "manifest.csv").write_text("task,name\nnoisy,a\n")

    def refuse(function: Any) -> Any:
        def refusing(path: Any, *arguments: Any, **more: Any) -> Any:
            if str(path) == str(tmp_path / closed):
                raise PermissionError(13, "Permission denied", str(path))
            return function(path, *arguments, **more)

        return refusing

    for holder, name in ((os, "scandir"), (os, "listdir"), (Path, "open")):  # root may read all: deny it here
        monkeypatch.setattr(holder, name, refuse(getattr(holder, name)))
    with pytest.raises((MissingResource, UnreadableImage), match=f"{closed}: (cannot|may not) be read"):
        paired.index(Paired(path=tmp_path), request("noisy"))


# ---------------------------------------------------------------- crop, digest, manifest, clean


def test_crop_is_centred_and_never_resizes(tmp_path: Path) -> None:
    pixels = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
    save(tmp_path / "noisy" / "GT" / "a.png")
    PIL.Image.fromarray(pixels).save(save(tmp_path / "noisy" / "LQ" / "a.png"))
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
    for side, level in (("LQ", 42), ("GT", 43)):
        save(root / "noisy" / side / "a.png", level)
        seen.append(digest(options))
    assert len(set(seen)) == 4
    moved = root.rename(tmp_path / "moved")
    assert digest(Paired(path=moved)) == seen[-1]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        *((word, word) for word in KINDS),
        (" Captured ", "captured"),
        ("derived: real measured kernel", "derived"),
        ("real bracket (pairing derived here)", "captured"),
        ("real bracket (pairing derived here), GT fused here", "derived"),
        ("real shadow LQ; GT fused here", "derived"),
        ("committed GT, JPEG encoded here", "derived"),
        ("standard-protocol: published mask, hole filled white", "derived"),
        ("real-captured blur", "captured"),
        ("as captured", "captured"),
        ("synthetic AWGN", "synthetic"),
        ("dataset pair", "published"),
        ("dataset pair from there", "published"),
        ("", "published"),
    ],
)
def test_manifest_gives_scene_and_kind(tmp_path: Path, text: str, kind: str) -> None:
    make(tmp_path, "noisy", ["a.png", "b.png"], ["a.png", "b.png"])
    (tmp_path / "manifest.csv").write_text(f'task,name,kind,scene_group\nnoisy,a,"{text}",room\n')
    first, second = paired.index(Paired(path=tmp_path), request("noisy"))
    assert (first.scene, first.kind) == ("room", kind)
    assert (second.scene, second.kind) == (sha256_of(tmp_path / "noisy" / "GT" / "b.png"), "published")


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def test_manifest_names_samples_with_or_without_their_extension(tmp_path: Path) -> None:
    make(tmp_path, "noisy", ["a.png", "b.v2.jpg"], ["a.png", "b.v2.png"])
    (tmp_path / "manifest.csv").write_text("task,name,scene\nnoisy,a.JPG,room\nNoisy,b.v2,hall\nhazy,x,none\n")
    assert [sample.scene for sample in paired.index(Paired(path=tmp_path), request("noisy"))] == ["room", "hall"]


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ("noisy,b\nnoisy,c.png\n", "2 rows of noisy without a sample: b, c.png"),
        ("noisy,a\nnoisy,a.png\n", "1 row of noisy for a sample that already has a row: a.png"),
        ("nosiy,a\nnosiy,b\n", "1 row whose task is neither known nor a folder: nosiy"),
        ("noisy,a,x,y,z\n,a\n", "1 row whose task is neither known nor a folder: (empty)"),
    ],
)
def test_manifest_rows_that_fit_nothing_are_named(tmp_path: Path, rows: str, complaint: str) -> None:
    make(tmp_path, "noisy", ["a.png"], ["a.png"])
    (tmp_path / "manifest.csv").write_text(f"task,name,scene\n{rows}")
    message = error(Paired(path=tmp_path))
    assert f"{tmp_path / 'manifest.csv'}: " in message
    assert complaint in message


def test_same_names_in_unrelated_sets_are_not_one_scene(tmp_path: Path) -> None:
    for task in ("noisy", "hazy"):
        save(tmp_path / task / "LQ" / "1.png", 10)
        save(tmp_path / task / "GT" / "1.png", len(task))
    save(tmp_path / "rainy" / "LQ" / "other.png", 10)
    save(tmp_path / "rainy" / "GT" / "other.png", len("noisy"))
    noisy, hazy, rainy = (
        paired.index(Paired(path=tmp_path), request(task))[0].scene for task in ("noisy", "hazy", "rainy")
    )
    assert noisy == rainy != hazy  # the same photograph under two names is one scene


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


def test_a_task_that_only_the_clean_row_reads_says_how_to_leave_it_out(tmp_path: Path) -> None:
    make(tmp_path, "noisy", ["a.png"], ["a.png"])
    save(tmp_path / "rainy" / "LQ" / "b.png", size=(6, 8))
    save(tmp_path / "rainy" / "GT" / "b.png", size=(7, 8))
    assert ids(Paired(path=tmp_path), "noisy") == ["a"]
    message = error(Paired(path=tmp_path), CLEAN)
    assert str(tmp_path / "rainy") in message and "`clean_inputs: false` leaves it out" in message


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


def test_linked_folders_are_followed_but_not_in_a_circle(tmp_path: Path) -> None:
    save(tmp_path / "elsewhere" / "a.png")
    save(tmp_path / "images" / "b.png")
    for name in ("x", "y"):
        (tmp_path / "images" / name).symlink_to(tmp_path / "elsewhere")
    (tmp_path / "images" / "circle").symlink_to(tmp_path / "images")
    (tmp_path / "images" / "itself").symlink_to("itself")
    found = unpaired.index(Unpaired(path=tmp_path / "images"), request("hazy"))
    assert [sample.id for sample in found] == ["b", "x/a", "y/a"]


@pytest.mark.parametrize(
    ("make", "told"), [(os.mkfifo, "a pipe"), (lambda path: path.symlink_to("gone"), "no such")]
)
def test_what_is_called_an_image_and_is_no_file_is_not_left_out_silently(tmp_path: Path, make, told: str) -> None:
    save(tmp_path / "a.png")
    make(tmp_path / "b.png")
    with pytest.raises(RestorebenchError, match=rf"b\.png: .*{told}"):
        unpaired.index(Unpaired(path=tmp_path), request("hazy"))


def test_unpaired_images_are_not_offered_as_clean_ones(tmp_path: Path) -> None:
    options = Unpaired(path=save(tmp_path / "rainy.png"))
    assert unpaired.index(options, request(CLEAN)) == []
    assert len(unpaired.load(options, request(CLEAN))) == 0


def test_unpaired_takes_a_single_file(tmp_path: Path) -> None:
    options = Unpaired(path=save(tmp_path / "one image.png"))
    assert [sample.id for sample in unpaired.index(options, request("hazy"))] == ["one image"]
    assert len(unpaired.load(options, request("hazy"))) == 1


def test_unpaired_reads_arrays_only_where_it_is_told_to(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((3, 5, 3), dtype=np.float32)
    np.save(tmp_path / "a.npy", values.astype(">f4"))
    save(tmp_path / "b.png")
    options = Unpaired(path=tmp_path, arrays=True)
    (sample,) = unpaired.index(options, request("hazy"))
    assert (sample.id, sample.height, sample.width) == ("a", 3, 5)
    degraded = unpaired.load(options, request("hazy"))[0].degraded
    assert degraded.dtype.isnative
    np.testing.assert_array_equal(degraded, values)
    assert [sample.id for sample in unpaired.index(Unpaired(path=tmp_path), request("hazy"))] == ["b"]


@pytest.mark.faults
@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 5, 3)), "is float64; expected float32"),
        (np.zeros((3, 5), np.float32), r"has the shape \(3, 5\); expected \(H, W, 3\)"),
        (np.zeros((0, 5, 3), np.float32), r"has the shape \(0, 5, 3\)"),
        (np.array([[[None] * 3]]), "is no whole .npy file of numbers"),
        (None, "is no whole .npy file of numbers"),
        (np.full((3, 5, 3), 2, np.float32), r"has values that are not in \[0, 1\]"),
        (np.full((3, 5, 3), np.nan, np.float32), r"has values that are not in \[0, 1\]"),
    ],
)
def test_arrays_that_are_no_images_are_named(tmp_path: Path, array, message: str) -> None:
    np.save(tmp_path / "a.npy", np.zeros((9, 9, 3), np.float32) if array is None else array, allow_pickle=True)
    if array is None:
        (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-1])
    options = Unpaired(path=tmp_path, arrays=True)
    with pytest.raises(RestorebenchError, match=rf"a\.npy: {message}"):
        unpaired.index(options, request("hazy"))
        unpaired.load(options, request("hazy"))[0]


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
    kinds = {task: dict(Counter(sample.kind for sample in samples)) for task, samples in index.items()}
    assert kinds == {
        "motion-blurry": {"captured": 10, "derived": 4},
        "hazy": {"published": 9},
        "jpeg-compressed": {"derived": 12},
        "low-light": {"captured": 12},
        "noisy": {"captured": 10, "synthetic": 2},
        "raindrop": {"captured": 3},
        "rainy": {"published": 6, "synthetic": 1, "captured": 1},
        "shadowed": {"derived": 12},
        "snowy": {"published": 1, "derived": 5},
        "uncompleted": {"derived": 12},
    }
    assert len({sample.scene for sample in index["motion-blurry"]}) < 14  # several shots of one scene
