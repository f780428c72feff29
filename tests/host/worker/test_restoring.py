from __future__ import annotations

import os
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from restorebench import Batch, ContractViolation, Fallback, RestorerInfo, Tiling
from restorebench.guest import calling, memory
from restorebench.guest.reasons import failure_of
from restorebench.worker import restoring


class Function:
    def __init__(self, function):
        self.function = function
        self.shapes = []

    def restore(self, batch):
        self.shapes.append(tuple(batch.degraded.shape))
        return self.function(batch)


def card(**facts):
    return RestorerInfo(name="test", version="1", summary="A test.", load=Function, **facts)


def batch(count=1, height=17, width=23, seed=0):
    images = torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed))
    return Batch(images, (None,) * count, tuple(range(count)), (height, width))


def double(given):
    return given.degraded * 2


def test_the_host_pads_to_the_multiple_and_takes_the_padding_off():
    restorer, given = Function(double), batch()
    restored = restoring.restore(restorer, card(multiple_of=16), given)
    assert restorer.shapes == [(1, 3, 32, 32)]
    assert torch.equal(restored.images, given.degraded * 2)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 40), (5, 33)])
def test_images_too_small_to_reflect_are_padded_too(height, width):
    restorer, given = Function(double), batch(height=height, width=width)
    restored = restoring.restore(restorer, card(multiple_of=32), given)
    assert torch.equal(restored.images, given.degraded * 2)


def test_tiles_carry_their_place_in_the_whole_image():
    seen = []

    def note(given):
        seen.append((given.window, given.full_size, tuple(given.degraded.shape[-2:])))
        return given.degraded.clone()

    given = batch(height=64, width=96)
    restored = restoring.restore(Function(note), card(multiple_of=8), given, tile=48, overlap=16)
    assert torch.allclose(restored.images, given.degraded, atol=1e-6)
    assert [window for window, _, _ in seen] == [(0, 0), (0, 32), (0, 48), (16, 0), (16, 32), (16, 48)]
    assert all(whole == (64, 96) and size == (48, 48) for _, whole, size in seen)


def test_tiles_come_with_the_whole_image():
    wholes = []

    def note(given):
        wholes.append(given.whole)
        return given.degraded.clone()

    given = batch(height=64, width=96)
    restoring.restore(Function(note), card(), given, tile=48, overlap=16)
    assert all(torch.equal(whole, given.degraded) for whole in wholes)
    wholes.clear()
    restoring.restore(Function(note), card(), given)
    assert wholes == [None]


def test_images_keep_their_names_in_parts_and_tiles():
    named = replace(batch(count=3, height=64, width=64), samples=("noisy/a", "noisy/b", "noisy/c"))
    seen = []

    def note(given):
        if len(given.degraded) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        seen.append(given.samples)
        return given.degraded.clone()

    restoring.restore(Function(note), card(multiple_of=48), named, tile=48, overlap=0)
    assert seen == [(name,) for name in named.samples for _ in range(4)]


def test_what_a_restorer_does_instead_is_told_once_and_other_warnings_pass():
    def unsure(given):
        warnings.warn("fp16 gave NaN; fp32", Fallback, stacklevel=1)
        warnings.warn("unrelated", UserWarning, stacklevel=1)
        return given.degraded.clone()

    with pytest.warns(UserWarning, match="unrelated"):
        restored = restoring.restore(Function(unsure), card(), batch(height=64, width=96), tile=48, overlap=16)
    assert restored.fallback == "fp16 gave NaN; fp32"


def test_a_restorer_that_tiles_by_itself_is_given_the_whole_image():
    restorer = Function(double)
    restoring.restore(restorer, card(tiling=Tiling.INTERNAL), batch(height=64, width=64), tile=32, overlap=8)
    assert restorer.shapes == [(1, 3, 64, 64)]


def limited(pixels):
    """Return a restorer function whose memory holds so many pixels at a time."""

    def function(given):
        size = given.degraded.shape[0] * given.degraded.shape[2] * given.degraded.shape[3]
        if size > pixels:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return given.degraded * 2

    return function


def test_a_batch_that_does_not_fit_is_halved_and_says_so():
    given = batch(count=4, height=32, width=32)
    restored = restoring.restore(Function(limited(32 * 32)), card(), given)
    assert restored.fallback == "batch 4 -> 1"
    assert torch.equal(restored.images, given.degraded * 2)


def test_an_image_that_does_not_fit_is_tiled_where_the_card_allows():
    given = batch(height=300, width=300)
    restored = restoring.restore(Function(limited(256 * 256)), card(), given)
    assert restored.fallback == "tile 256"
    assert torch.allclose(restored.images, given.degraded * 2, atol=1e-6)


def test_an_image_that_does_not_fit_fails_where_tiling_is_harmful():
    with pytest.raises(
        restoring.TooLarge, match="on an image of 300 x 300 px; a `tile` in the suite would cut it"
    ):
        restoring.restore(Function(limited(256 * 256)), card(tiling=Tiling.HARMFUL), batch(height=300, width=300))


def test_a_record_names_every_step_that_a_lack_of_memory_forced():
    restored = restoring.restore(Function(limited(256 * 256)), card(), batch(count=3, height=300, width=300))
    assert restored.fallback == "batch 3 -> 1, tile 256"


@pytest.mark.parametrize(
    ("multiple", "overlap", "fallback"),
    [(48, 32, "tile 240"), (1, 300, "tile 256"), (100, 300, "tile 200"), (128, 32, "tile 256")],
)
def test_fallback_tiles_are_multiples_that_advance_whatever_the_suite_says(multiple, overlap, fallback):
    restorer, given = Function(limited(256 * 256)), batch(height=600, width=600)
    restored = restoring.restore(restorer, card(multiple_of=multiple), given, overlap=overlap)
    assert restored.fallback == fallback
    assert all(side % multiple == 0 for shape in restorer.shapes for side in shape[2:])
    assert torch.allclose(restored.images, given.degraded * 2, atol=1e-6)


def test_the_smallest_tile_that_does_not_fit_is_a_clear_failure():
    restorer = Function(limited(10))
    with pytest.raises(restoring.TooLarge) as caught:
        restoring.restore(restorer, card(), batch(count=2, height=600, width=600))
    assert str(failure_of(caught.value)) == "out-of-memory: OutOfMemoryError on a tile of 256 px"
    assert [shape[-1] for shape in restorer.shapes] == [600, 600, 512, 256]


def test_no_tile_is_tried_that_leaves_no_room_to_overlap():
    restorer = Function(limited(10))
    with pytest.raises(restoring.TooLarge, match="an image of 1000 x 1000 px"):
        restoring.restore(restorer, card(multiple_of=500), batch(height=1000, width=1000))
    assert restorer.shapes == [(1, 3, 1000, 1000)]


_HOLDS = """
import sys
sys.path.insert(0, sys.argv[1])
import torch
from test_restoring import Function, batch, card
from restorebench.worker import restoring


def holds(mib):
    def function(given):
        torch.ones(mib, 2**18)  # 1 MiB of float32 per row
        return given.degraded.clone()

    return restoring.restore(Function(function), card(), batch()).peak_mib


print(holds(1), holds(300), holds(1))
"""


def test_peak_memory_is_this_batch_alone():
    """In a process of its own: one that has freed more before may hold it still, and needs no more."""
    command = [sys.executable, "-c", _HOLDS, str(Path(__file__).parent)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True, timeout=120)
    small, large, small_again = map(float, done.stdout.split())
    assert large - small > 200
    assert abs(small_again - small) < 50


def test_a_peak_that_cannot_be_measured_is_not_given(monkeypatch):
    monkeypatch.setattr(memory, "reset_peak", lambda device: False)
    assert restoring.restore(Function(double), card(), batch()).peak_mib is None


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda given: given.degraded[:, :1], "shape"),
        (lambda given: given.degraded.half(), "float16"),
        (lambda given: given.degraded * float("inf"), "infinite"),
        (lambda given: given.degraded.add_(1).clone(), "wrote into"),
        (lambda given: "image", "returned str"),
    ],
)
def test_what_breaks_the_contract_is_named(function, message):
    with pytest.raises(ContractViolation, match=message):
        restoring.restore(Function(function), card(), batch())


def test_gradients_are_possible_inside_a_restorer():
    def guided(given):
        with torch.enable_grad():
            image = given.degraded.clone().requires_grad_()
            (gradient,) = torch.autograd.grad((image**2).sum(), image)
        return gradient

    given = batch()
    assert torch.allclose(restoring.restore(Function(guided), card(), given).images, given.degraded * 2)


@pytest.mark.gpu
def test_time_and_peak_memory_are_the_devices():
    given = batch(height=256, width=256)
    there = Batch(given.degraded.cuda(), given.told, given.keys, given.full_size)
    restored = restoring.restore(Function(lambda b: b.degraded @ b.degraded.mT), card(), there)
    assert restored.images.device.type == "cuda"
    assert 0 < restored.peak_mib < 1000


def test_seconds_are_those_of_the_restorer_alone(monkeypatch):
    now, look = [0.0], torch.aminmax
    monkeypatch.setattr(calling.time, "perf_counter", lambda: now[0])

    def checking(given):  # what the host does around a call takes time too
        now[0] += 100
        return look(given)

    monkeypatch.setattr(calling.torch, "aminmax", checking)

    def slow(given):
        now[0] += 2
        return given.degraded.clone()

    whole = restoring.restore(Function(slow), card(), batch(count=2, height=48, width=48))
    assert whole.seconds == 2
    tiled = restoring.restore(Function(slow), card(), batch(height=64, width=96), tile=48, overlap=16)
    assert tiled.seconds == 2 * 6 and now[0] > 700
