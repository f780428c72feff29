"""Region-adaptive guidance, colours, windows and sizes."""

from __future__ import annotations

import pytest
import torch
from restorebench_diffbir import colour, guidance, sizes, windows
from restorebench_diffbir.guidance import Guidance, weight_map
from restorebench_diffbir.schedule import Schedule, spaced


def image(height=16, width=24, seed=0):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def test_flat_regions_weigh_one_and_textured_ones_nothing():
    stripes = torch.zeros(1, 3, 16, 16)
    stripes[..., 8:, ::4] = stripes[..., 8:, 1::4] = 1
    weights = weight_map(2 * stripes - 1)
    assert weights[..., :6, :].unique().tolist() == [1.0]
    assert weights[..., 10:, :].max() < 1e-2
    assert weights.shape == (1, 1, 16, 16)


def test_the_pull_is_the_gradient_of_the_loss():
    """Against differences of the loss itself, in float64."""
    target = 2 * image().double() - 1
    weights = weight_map(target)
    clean = image(seed=1).double()
    guide = Guidance(target, weights, torch.tanh, 0.5, torch.ones(1), (0,))
    pull, before = guide.pull(clean)
    assert before == guidance.loss(torch.tanh(clean), target, weights)
    for index in [(0, 0, 3, 5), (0, 2, 15, 23), (0, 1, 8, 0)]:
        nudged = []
        for sign in (1, -1):
            moved = clean.clone()
            moved[index] += sign * 1e-6
            nudged.append(float(guidance.loss(torch.tanh(moved), target, weights)))
        slope = (nudged[0] - nudged[1]) / 2e-6
        assert float(pull[index]) == pytest.approx(-3000 * 0.5 * slope, rel=1e-5)


def test_guidance_finds_its_gradient_where_gradients_are_off():
    guide = Guidance(2 * image() - 1, None, lambda z: 2 * z, 0.5, torch.ones(1), (0,))
    with torch.no_grad():
        assert guide(torch.zeros(1, 3, 16, 24), 0).abs().max() > 0
        assert not torch.is_grad_enabled()


def test_images_of_a_batch_are_guided_alone():
    target = 2 * torch.cat([image(), image(seed=1)]) - 1
    both = Guidance(target, weight_map(target), torch.tanh, 0.5, torch.ones(1), (0,))
    alone = Guidance(target[1:], weight_map(target[1:]), torch.tanh, 0.5, torch.ones(1), (0,))
    clean = torch.cat([image(seed=2), image(seed=3)])
    assert torch.allclose(both(clean, 0)[1:], alone(clean[1:], 0), atol=1e-6)


def test_it_acts_between_its_bounds_alone():
    table = spaced(Schedule("eps"), 50)
    guide = Guidance(torch.zeros(1), None, None, 1.0, table.first, table.steps, start=600, stop=200)
    acting = [table.steps[index] for index in range(50) if guide.acts(index)]
    assert acting == [step for step in table.steps if 200 < step + 1 < 600]
    assert len(acting) < 50


def test_without_a_scale_nothing_moves():
    guide = Guidance(torch.zeros(1, 3, 2, 2), None, None, 0.0, torch.ones(1), (0,))
    clean = torch.rand(1, 3, 2, 2)
    assert guide(clean, 0) is clean


def test_raising_guidance_moves_flat_regions_towards_stage_1_more_than_textured_ones():
    pytest.importorskip("diffusers", reason="samples with networks of the extra [diffbir]")
    from restorebench_diffbir.demonstration import distances

    none, some, more = distances((0.0, 3.0, 30.0))
    assert none.flat > 1.15 * some.flat > 1.15 * 1.15 * more.flat
    assert none.flat - more.flat > 2 * (none.textured - more.textured)


def test_the_demonstration_prints_a_row_per_scale(capsys, monkeypatch):
    from restorebench_diffbir import demonstration

    rows = [demonstration.Distances(scale, 0.5, 0.25) for scale in (0.0, 3.0)]
    monkeypatch.setattr(demonstration, "distances", lambda: iter(rows))
    monkeypatch.setattr(demonstration, "find_spec", lambda name: name)
    assert demonstration.main([]) == 0
    assert capsys.readouterr().out.splitlines()[2:] == ["| 0 | 0.5000 | 0.2500 |", "| 3 | 0.5000 | 0.2500 |"]


def test_without_the_extra_the_demonstration_is_one_line(capsys, monkeypatch):
    from restorebench_diffbir import demonstration

    monkeypatch.setattr(demonstration, "find_spec", lambda name: None)
    assert demonstration.main([]) == 2
    assert capsys.readouterr().err == "error: needs diffusers: pip install 'restorebench[diffbir]'\n"


# ---------------------------------------------------------------- colours


def test_wavelets_give_back_an_image_that_is_its_own_style():
    given = image(40, 56)
    assert torch.allclose(colour.wavelet(given, given), given, atol=1e-6)


def test_wavelets_take_the_colour_of_a_flat_style():
    style = torch.tensor([0.2, 0.5, 0.8]).view(1, 3, 1, 1).expand(1, 3, 256, 256)
    coloured = colour.wavelet(image(256, 256), style)
    assert torch.allclose(coloured.mean(dim=(2, 3)), style.mean(dim=(2, 3)), atol=5e-3)
    assert coloured.std() > 0.2, "details stay"


def test_adain_gives_mean_and_spread_of_the_style():
    content, style = image(seed=1), 0.3 * image(seed=2) + 0.4
    coloured = colour.adain(content, style)
    for statistic in (torch.mean, torch.std):
        ours, theirs = (statistic(each, dim=(2, 3)) for each in (coloured, style))
        assert torch.allclose(ours, theirs, atol=1e-3)


# ---------------------------------------------------------------- windows and sizes


@pytest.mark.parametrize("weights", ["bell", "uniform"])
@pytest.mark.parametrize("size", [(5, 7), (16, 16), (33, 50)])
def test_what_looks_at_single_pixels_is_blended_to_itself(size, weights):
    given = image(*size)

    def one(window):
        top, bottom, left, right = window
        return given[..., top:bottom, left:right] ** 2

    found = windows.blended(given, 16, 8, one, weights=weights)
    assert torch.allclose(found, given**2, atol=1e-6)


def test_windows_cover_everything_and_stay_inside():
    for height, width in ((1, 100), (64, 65), (70, 131)):
        seen = torch.zeros(height, width)
        for top, bottom, left, right in windows.windows(height, width, 64, 32):
            assert 0 <= top < bottom <= height
            assert 0 <= left < right <= width
            seen[top:bottom, left:right] += 1
        assert seen.min() >= 1


def test_the_short_edge_becomes_what_is_asked_for():
    assert sizes.short_edge(image(17, 23), 64).shape[-2:] == (64, 86)
    assert sizes.short_edge(image(23, 17), 64).shape[-2:] == (86, 64)
    large = image(80, 90)
    assert sizes.at_least(large, 64) is large


def test_very_long_images_are_padded_by_their_edge():
    given = sizes.not_too_long(image(1, 70))
    assert given.shape[-2:] == (9, 70)
    assert torch.equal(given[..., 8, :], given[..., 0, :])
    assert sizes.not_too_long(image(70, 1)).shape[-2:] == (70, 9)
    square = image(20, 160)
    assert sizes.not_too_long(square) is square
