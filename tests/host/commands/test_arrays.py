"""`restore` and `detect` on arrays: the same numbers as on files, in the kind that was given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

import restorebench
from restorebench import Settings
from restorebench.commands.delivery import Existing
from restorebench.contract.errors import RestorebenchError
from restorebench.toolbox import images
from restorebench.toolbox.arrays import Pixels
from restorebench.toolbox.photographs import listed

HERE = Settings(workers=0, device="cpu")

BROKEN = """
from restorebench import RestorerInfo, hookimpl

class Dark:
    def __init__(self, options, runtime): pass
    def restore(self, batch):
        if batch.degraded.mean() > 0.5:
            raise ValueError("too bright")
        return batch.degraded * 2 - 0.5

@hookimpl
def restorebench_restorers():
    return [RestorerInfo(name="dark", version="1", summary="Raises contrast.", load=Dark)]
"""


@pytest.fixture(scope="module")
def photographs():
    """Two noisy crops of photographs, uint8, of two sizes."""
    rng = np.random.default_rng(0)
    found = []
    for path, side in zip(listed("embedded"), (48, 40), strict=False):
        crop = images.to_8bit(images.read(path)[:side, :56])
        found.append(np.clip(crop + rng.normal(0, 25, crop.shape), 0, 255).astype(np.uint8))
    return found


@pytest.fixture
def files(photographs, tmp_path):
    """The same crops as PNG files."""
    folder = tmp_path / "files"
    folder.mkdir()
    for number, pixels in enumerate(photographs):
        PIL.Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def restored(source, **keys):
    return restorebench.restore(source, restorer="classical", tell="task", task="noisy", settings=HERE, **keys)


def read(folder: Path) -> list[np.ndarray]:
    return [np.asarray(PIL.Image.open(path)) for path in sorted(folder.glob("*.png"))]


def test_arrays_are_restored_to_the_bit_like_png_files(photographs, files, tmp_path):
    found = restored(photographs)
    restored(files, out=tmp_path / "out")
    for array, pixels, given in zip(found, read(tmp_path / "out"), photographs, strict=True):
        assert array.dtype == np.uint8
        np.testing.assert_array_equal(array, pixels)
        assert (array != given).any()  # it did something


def test_a_detector_says_of_arrays_what_it_says_of_files(photographs, files):
    found = restorebench.detect(photographs, "statistics", settings=HERE)
    known = restorebench.detect(files, "statistics", settings=HERE)
    assert [record.sample for record in found] == ["0", "1"]
    assert [record.labels for record in found] == [record.labels for record in known]
    assert [record.probabilities for record in found] == [record.probabilities for record in known]
    assert known[0].probabilities != known[1].probabilities


def test_a_stochastic_restorer_draws_for_item_0_what_it_draws_for_a_file_0(photographs, files, tmp_path):
    drawing = tmp_path / "drawing.py"
    drawing.write_text(
        "from restorebench import RestorerInfo, hookimpl\n"
        "class Draws:\n"
        "    def __init__(self, options, runtime): pass\n"
        "    def restore(self, batch):\n"
        "        import torch\n"
        "        keys = torch.tensor([key % 997 for key in batch.keys]).view(-1, 1, 1, 1)\n"
        "        return (batch.degraded + keys / 997) / 2\n"
        "@hookimpl\n"
        "def restorebench_restorers():\n"
        "    return [RestorerInfo(name='draws', version='1', summary='Draws.', load=Draws, stochastic=True)]\n"
    )
    settings = Settings(workers=0, device="cpu", plugins=(drawing,))
    found = restorebench.restore(photographs, restorer="draws", settings=settings)
    restorebench.restore(files, tmp_path / "out", "draws", settings=settings)
    for array, pixels in zip(found, read(tmp_path / "out"), strict=True):
        np.testing.assert_array_equal(array, pixels)


def test_one_array_gives_one_array_and_a_worker_gives_the_same(photographs):
    alone = restorebench.restore(photographs[0], restorer="classical", tell="task", task="noisy")
    assert isinstance(alone, np.ndarray)
    np.testing.assert_array_equal(alone, restored(photographs)[0])


def test_more_than_ten_arrays_keep_their_order():
    greys = [np.full((8, 9, 3), 20 * number, np.uint8) for number in range(12)]
    found = restorebench.restore(greys, restorer="identity", settings=HERE)
    np.testing.assert_array_equal(found, greys)
    assert [r.sample for r in restorebench.detect(greys, "constant", settings=HERE)] == [str(n) for n in range(12)]


def test_sixteen_bits_come_back_whole():
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    found = restorebench.restore(every, restorer="identity", settings=HERE)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, np.stack([every] * 3, axis=2))


def test_sixteen_bits_are_restored_like_a_file_of_sixteen_bits(photographs, tmp_path):
    deep = (photographs[0].astype(np.uint16) * 257)[:, :, 0]
    PIL.Image.fromarray(deep).save(tmp_path / "0.png")
    restored(tmp_path / "0.png", out=tmp_path / "out")
    np.testing.assert_array_equal(np.rint(restored(deep) / 257.0), read(tmp_path / "out")[0])


def test_floats_are_not_rounded_and_the_given_array_stays_as_it_was():
    given = np.random.default_rng(0).random((8, 9, 3), dtype=np.float32)
    before = given.copy()
    found = restorebench.restore(given, restorer="identity", settings=HERE)
    np.testing.assert_array_equal(found, before)
    np.testing.assert_array_equal(given, before)
    assert found.dtype == np.float32


def test_a_tensor_gives_a_tensor():
    given = torch.rand(2, 3, 8, 9, generator=torch.Generator().manual_seed(0)).requires_grad_()
    found = restorebench.restore(given, restorer="identity", settings=HERE)
    assert torch.equal(found, given) and found.is_contiguous() and not found.requires_grad
    assert len(restorebench.detect(given, "constant", settings=HERE)) == 2


def test_results_are_clipped_and_a_failure_names_its_item(tmp_path):
    (tmp_path / "dark.py").write_text(BROKEN)
    settings = Settings(workers=0, device="cpu", plugins=(tmp_path / "dark.py",))
    dark = np.full((4, 5, 3), 0.125, np.float32)
    assert (restorebench.restore(dark, restorer="dark", settings=settings) == 0).all()
    with pytest.raises(
        RestorebenchError, match=r"^item 1 was not restored: .*too bright.* \(and 1 more failed\)$"
    ):
        restorebench.restore([dark, 1 - dark, 1 - dark], restorer="dark", settings=settings)


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_either_byte_order_is_read(order):
    (image,) = Pixels(np.array([[0, 65535]], order)).images()
    np.testing.assert_array_equal(image[0, :, 0], [0, 1])


GOOD = np.zeros((4, 5, 3), np.uint8)
FLOATS = np.zeros((4, 5, 3), np.float32)


def changed(row, column, value):
    array = FLOATS.copy()
    array[row, column, 1] = value
    return array


@pytest.mark.faults
@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([], "the list is empty"),
        ((), "the list is empty"),
        (torch.zeros(0, 3, 4, 4), "the tensor is empty"),
        (
            FLOATS.astype(np.float64),
            "the image is float64; expected uint8, uint16, or float32 in [0, 1]; array.astype",
        ),
        ([GOOD, GOOD.astype(np.int64)], "item 1 is int64; expected uint8"),
        (GOOD > 0, "the image is bool; expected uint8"),
        (np.array([[None]]), "the image is object; expected"),
        (changed(2, 3, np.nan), "the image has nan in row 2, column 3; expected numbers in [0, 1]"),
        ([FLOATS, changed(0, 4, np.inf)], "item 1 has inf in row 0, column 4"),
        (changed(1, 1, -np.inf), "the image has -inf in row 1, column 1"),
        (changed(0, 0, 200), "the image has values from 0.0 to 200.0; expected [0, 1]; divide by 255"),
        (changed(0, 0, -0.5), "the image has values from -0.5 to 0.0; expected [0, 1]; scale or clip it"),
        (changed(0, 0, 1.0000001), "the image has values from 0.0 to 1.0000001; expected [0, 1]; scale or clip"),
        (
            GOOD.transpose(2, 0, 1),
            "the image has the shape (3, 4, 5); expected (H, W, 3) or (H, W); array.transpose",
        ),
        (np.zeros((4, 5, 4), np.uint8), "(4, 5, 4); expected (H, W, 3) or (H, W); array[:, :, :3]"),
        (np.zeros((4, 5, 1), np.uint8), "has the shape (4, 5, 1); expected (H, W, 3) or (H, W); array[:, :, 0]"),
        (
            np.zeros((2, 4, 5, 3), np.uint8),
            "has the shape (2, 4, 5, 3); expected (H, W, 3) or (H, W); list(array)",
        ),
        ([GOOD, np.zeros((0, 5, 3), np.uint8)], "item 1 has the shape (0, 5, 3)"),
        (np.uint8(3), "the image is of type numpy.uint8; expected a path, a numpy array"),
        (np.zeros(5, np.uint8), "the image has the shape (5,)"),
        ([GOOD, FLOATS], "item 1 is float32 and item 0 is uint8; give one dtype in a list"),
        ([GOOD, "a.png"], "item 1 is a path; a list holds numpy arrays only"),
        ([GOOD, torch.zeros(3, 4, 4)], "item 1 is a torch tensor; a list holds numpy arrays only"),
        ([GOOD, [1, 2]], "item 1 is of type list; expected a path, a numpy array"),
        (None, "the image is of type NoneType; expected a path"),
        ((image for image in [GOOD]), "the image is of type generator; expected a path"),
        (PIL.Image.fromarray(GOOD), "is of type PIL.Image.Image; expected a path, a numpy array"),
        (np.ma.masked_array(GOOD, GOOD == 0), "the image is a masked array; fill it first"),
        (
            torch.zeros(3, 4, 4),
            "the tensor is (3, 4, 4); expected a dense one (N, 3, H, W), RGB; give tensor[None]",
        ),
        (torch.zeros(1, 4, 4, 3), "the tensor is (1, 4, 4, 3); expected a dense one (N, 3, H, W)"),
        (torch.zeros(1, 3, 4, 4).double(), "the tensor is torch.float64; expected torch.float32 in [0, 1]"),
        (torch.full((2, 3, 4, 4), 255.0), "item 0 has values from 255.0 to 255.0; expected [0, 1]; divide by 255"),
    ],
)
def test_what_is_no_image_is_refused_in_one_line(source, message):
    for call in (
        lambda: restorebench.detect(source, "constant", settings=HERE),
        lambda: restorebench.restore(source, restorer="identity", settings=HERE),
    ):
        with pytest.raises(RestorebenchError) as error:
            call()
        assert message in str(error.value) and "\n" not in str(error.value)


def test_an_image_too_large_to_decode_is_too_large_as_an_array():
    endless = np.broadcast_to(np.uint8(0), (20_000, 20_000))
    with pytest.raises(RestorebenchError, match="the image is 20000 x 20000, more than 100 million pixels"):
        Pixels(endless)


@pytest.mark.parametrize(
    ("positional", "keys", "message"),
    [
        ((GOOD, "identity"), {}, "arrays are returned, not written"),
        ((GOOD,), {"restorer": "identity", "existing": Existing.SKIP}, "leave out `out` and `existing`"),
        ((GOOD,), {}, "name the restorer"),
        (("a.png",), {"restorer": "identity"}, "give `out`, the folder"),
        ((GOOD,), {"restorer": "identity", "tell": "task"}, "name it: `task` in Python"),
        ((GOOD,), {"restorer": "idnetity"}, "no restorer called 'idnetity' (nearest: identity"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(positional, keys, message):
    with pytest.raises(RestorebenchError) as error:
        restorebench.restore(*positional, **keys)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_temporary_folder_without_room_is_named(monkeypatch):
    def full(path, image):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("restorebench.commands.arrays.write_float", full)
    with pytest.raises(RestorebenchError, match="No space left on device; set TMPDIR"):
        restorebench.detect(GOOD, "constant")
