from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from restorebench.toolbox.seeding import generator, key, normal, philox

KEYS = [key("a"), key("b"), 2**64 - 1]


def test_philox_gives_the_published_answers():
    # Known-answer vectors of the Random123 distribution for philox4x32-10.
    cases = [
        ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ]
    for counter, words, expected in cases:
        assert philox(torch.tensor(counter), torch.tensor(words)).tolist() == expected


def test_noise_is_standard_normal():
    noise = normal(KEYS, 0, 0, (5, 128, 128)).double().numpy().ravel()
    assert stats.kstest(noise, "norm").pvalue > 0.001
    assert abs(np.corrcoef(noise[:-1], noise[1:])[0, 1]) < 0.01


def test_noise_does_not_depend_on_the_batch_or_its_order():
    together = normal(KEYS, 1, 7, (3, 20, 30))
    backwards = normal(KEYS[::-1], 1, 7, (3, 20, 30))
    for place, one in enumerate(KEYS):
        assert torch.equal(together[place : place + 1], normal([one], 1, 7, (3, 20, 30)))
        assert torch.equal(together[place], backwards[len(KEYS) - 1 - place])


def test_noise_of_a_tile_is_that_part_of_the_whole():
    whole = normal(KEYS, 0, 3, (6, 40, 50))
    tile = normal(KEYS, 0, 3, (6, 40, 50), (11, 7, 13, 21))
    assert torch.equal(tile, whole[:, :, 11:24, 7:28])


@pytest.mark.parametrize("other", [([key("c")], 0, 0), ([key("a")], 1, 0), ([key("a")], 0, 1)])
def test_key_stream_and_step_each_change_the_noise(other):
    one, two = normal([key("a")], 0, 0, (3, 16, 16)), normal(*other, (3, 16, 16))
    assert abs(float(torch.corrcoef(torch.stack([one.ravel(), two.ravel()]))[0, 1])) < 0.1


def test_channels_differ():
    noise = normal([1], 0, 0, (9, 8, 8))[0]
    assert len({tuple(channel.ravel().tolist()) for channel in noise}) == 9


def test_a_window_outside_the_image_is_refused():
    with pytest.raises(ValueError, match="lies outside"):
        normal([1], 0, 0, (3, 8, 8), (4, 4, 8, 8))


def test_generators_depend_on_every_part():
    draws = {generator(*parts).random() for parts in [(0, "a"), (1, "a"), (0, "b"), (0, "a", 3)]}
    assert len(draws) == 4
    assert generator(0, "a").random() == generator(0, "a").random()


@pytest.mark.gpu
def test_noise_on_the_gpu_equals_the_cpu_to_the_last_bit():
    cpu = normal(KEYS, 0, 3, (3, 64, 64))
    gpu = normal(KEYS, 0, 3, (3, 64, 64), device="cuda").cpu()
    spacing = torch.from_numpy(np.spacing(cpu.abs().numpy()))
    assert bool(((cpu - gpu).abs() <= spacing).all())
