"""What a protocol does to the pixels before a metric sees them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from restorebench_metrics import protocols

from restorebench import ScoringProtocol, Space
from restorebench.toolbox.scoring import crop_map, luma, prepare, prepared_size

RAW = ScoringProtocol(name="raw", summary="nothing", quantised=False, clipped=False)


def airnet_crop(image: np.ndarray, base: int) -> np.ndarray:
    """AirNet, utils/image_utils.py, `crop_img`."""
    h, w = image.shape[:2]
    crop_h, crop_w = h % base, w % base
    return image[crop_h // 2 : h - crop_h + crop_h // 2, crop_w // 2 : w - crop_w + crop_w // 2]


def test_eight_bit_levels_survive_exactly():
    levels = torch.arange(256).repeat(3).view(1, 3, 16, 16)
    prepared = prepare(levels.float() / 255, protocols.RGB)
    assert prepared.dtype == torch.float64
    assert prepared.equal(levels.double() / 255)


def test_halves_round_to_the_even_level():
    image = torch.tensor([0.5, 1.5, 2.5, 3.5], dtype=torch.float64).expand(1, 3, 1, 4) / 255
    assert (prepare(image, protocols.RGB)[0, 0, 0] * 255).tolist() == pytest.approx([0, 2, 2, 4])


def test_values_outside_the_range_are_clipped_unless_the_protocol_says_not():
    image = torch.tensor([-0.5, 1.5]).expand(1, 3, 1, 2)
    assert prepare(image, protocols.RGB)[0, 0, 0].tolist() == [0, 1]
    assert prepare(image, replace(RAW, clipped=True))[0, 0, 0].tolist() == [0, 1]
    assert prepare(image, RAW)[0, 0, 0].tolist() == [-0.5, 1.5]


def test_float_protocols_keep_what_eight_bits_lose():
    image = torch.full((1, 3, 16, 16), 0.3)
    assert prepare(image, protocols.AIRNET)[0, 0, 0, 0].item() == pytest.approx(0.3, abs=1e-7)
    assert prepare(image, protocols.RGB)[0, 0, 0, 0].item() == pytest.approx(round(0.3 * 255) / 255)


def test_the_input_is_left_as_it_was():
    image = torch.rand(1, 3, 20, 20)
    before = image.clone()
    for protocol in (*protocols.SSIM, RAW):
        prepare(image, protocol, network=True)
        prepare(image.double(), protocol)
    assert image.equal(before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_any_float_type_becomes_float64_for_pixels_and_float32_for_networks(dtype):
    image = torch.rand(1, 3, 8, 8).to(dtype)
    assert prepare(image, protocols.RGB).dtype == torch.float64
    assert prepare(image, protocols.RGB, network=True).dtype == torch.float32


def test_networks_see_the_same_eight_bit_levels():
    image = torch.rand(1, 3, 8, 8)
    assert prepare(image, protocols.RGB, network=True).double().allclose(prepare(image, protocols.RGB), atol=1e-7)


def test_studio_luma_runs_from_16_to_235():
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64).expand(1, 3, 1, 2)
    assert (luma(ends, Space.Y_STUDIO) * 255)[0, 0, 0].tolist() == pytest.approx([16, 235])
    assert luma(ends, Space.Y_FULL)[0, 0, 0].tolist() == pytest.approx([0, 1])


def test_luma_is_not_rounded_and_weighs_red_first():
    red = torch.tensor([1.0, 0, 0], dtype=torch.float64).view(1, 3, 1, 1)
    assert prepare(red, protocols.Y).item() * 255 == pytest.approx(16 + 65.481)
    assert prepare(red, protocols.Y_FULL).item() == pytest.approx(0.299)


def test_luma_of_one_channel_is_refused():
    with pytest.raises(ValueError, match="3 channels"):
        prepare(torch.rand(1, 1, 4, 4), protocols.Y)


@given(height=st.integers(16, 80), width=st.integers(16, 80))
def test_centre_crop_is_airnets(height, width):
    pixels = np.arange(height * width, dtype=np.float64).reshape(height, width)
    expected = airnet_crop(pixels, base=16)
    prepared = prepare(
        torch.from_numpy(pixels).expand(1, 3, height, width), replace(protocols.AIRNET, clipped=False)
    )
    assert np.array_equal(prepared[0, 0].numpy(), expected)
    assert prepared_size(height, width, protocols.AIRNET) == expected.shape


@given(
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    border=st.integers(0, 9),
    multiple=st.sampled_from([1, 4, 16]),
)
def test_the_promised_size_is_the_size_given(height, width, border, multiple):
    protocol = replace(RAW, crop_border=border, crop_multiple=multiple)
    size = prepared_size(height, width, protocol)
    image = torch.zeros(1, 3, height, width)
    if 0 in size:
        with pytest.raises(ValueError, match="leaves nothing"):
            prepare(image, protocol)
    else:
        assert prepare(image, protocol).shape[-2:] == size
        assert crop_map(image[:, :1], protocol).shape[-2:] == size


def test_maps_are_cropped_like_the_images():
    image = torch.rand(1, 3, 37, 45, dtype=torch.float64)
    protocol = replace(RAW, crop_border=3, crop_multiple=8)
    assert crop_map(image[:, :1], protocol).equal(prepare(image, protocol)[:, :1])


def test_nan_is_not_rounded_away():
    image = torch.full((1, 3, 4, 4), float("nan"))
    assert prepare(image, protocols.RGB).isnan().all()
