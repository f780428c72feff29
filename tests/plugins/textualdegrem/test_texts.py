"""Words among tokens, and the projections of cross-attention."""

from __future__ import annotations

import pytest
import torch
from restorebench_textualdegrem import cross_attention
from restorebench_textualdegrem.sampling import Schedule, sample
from restorebench_textualdegrem.splice import place_of, spliced
from restorebench_textualdegrem.words import CleanMapper, Mapper
from torch import nn

from restorebench import RestorebenchError


def test_the_placeholder_is_the_fifth_token_after_the_first():
    assert place_of() == 5
    assert place_of("S") == 1


def test_words_take_the_placeholder_s_place_and_the_end_is_cut_off():
    tokens = torch.arange(6.0)[None, :, None]
    words = torch.tensor([[[10.0], [11.0], [12.0]]])
    assert spliced(tokens, words, torch.tensor([1])).flatten().tolist() == [0, 10, 11, 12, 2, 3]
    assert spliced(tokens, words, torch.tensor([3])).flatten().tolist() == [0, 1, 2, 10, 11, 12]
    assert spliced(tokens, words[:, :1], torch.tensor([5])).flatten().tolist() == [0, 1, 2, 3, 4, 10]


@pytest.mark.parametrize("index", [4, -1])
def test_words_that_do_not_fit_are_refused(index):
    with pytest.raises(ValueError, match=r"3 words in place of token .* do not fit a prompt of 6 tokens"):
        spliced(torch.zeros(1, 6, 1), torch.zeros(1, 3, 1), torch.tensor([index]))


def test_the_mean_over_patches_may_be_taken_before_the_last_layer():
    torch.manual_seed(0)
    mapper, tokens = Mapper(2, 6, 8, 5), torch.randn(3, 10, 6)
    for word in range(2):
        first = mapper.get_submodule(f"mapping_{word}")(tokens[:, 0])
        patches = mapper.get_submodule(f"mapping_patch_{word}")(tokens[:, 1:]).mean(dim=1)
        assert torch.allclose(mapper(tokens)[:, word], first + patches, atol=1e-6)


def test_each_word_is_restored_by_itself():
    torch.manual_seed(0)
    clean, words = CleanMapper(3, 4, 8), torch.randn(2, 3, 4)
    other = words.clone()
    other[:, 1] += 1
    change = (clean(other) - clean(words)).abs().amax(dim=(0, 2))
    assert (change > 0).tolist() == [False, True, False]


def unet():
    def attention():
        return nn.ModuleDict({"to_k": nn.Linear(3, 4, bias=False), "to_v": nn.Linear(3, 4, bias=False)})

    block = nn.ModuleDict({"attn1": attention(), "attn2": attention()})
    return nn.ModuleDict({"mid_block": nn.ModuleDict({"attentions": nn.ModuleList([block])})})


def projections(rows=4):
    return {f"mid_block_attentions_0_attn2_to_{letter}.weight": torch.ones(rows, 3) for letter in "kv"}


def test_only_cross_attention_is_overwritten():
    network = unet()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    words, found = cross_attention.divided({**projections(), "mapping_0.0.bias": torch.zeros(2)})
    cross_attention.overwrite(network, found)
    assert list(words) == ["mapping_0.0.bias"]
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {f"mid_block.attentions.0.attn2.to_{letter}.weight" for letter in "kv"}


@pytest.mark.parametrize(
    "given", [{}, projections(5), {**projections(), "up_attn2_to_k.weight": torch.ones(4, 3)}]
)
def test_projections_of_another_unet_are_refused(given):
    with pytest.raises(RestorebenchError, match=r"mine\.pth: \d projections? .* do(es)? not fit .*2\.1-base"):
        cross_attention.overwrite(unet(), given, "mine.pth")


def test_a_scheduler_of_another_kind_is_refused():
    config = {"beta_start": 0.001, "beta_end": 0.01, "num_train_timesteps": 500, "prediction_type": "epsilon"}
    assert Schedule.of(config) == Schedule(0.001, 0.01, 500, 1)
    with pytest.raises(RestorebenchError, match=r"prediction_type is 'v_prediction', not 'epsilon'"):
        Schedule.of({**config, "prediction_type": "v_prediction"})


def test_sampling_finds_an_image_whose_noise_is_known():
    """A denoiser that knows the clean latent is led to it, but for what the first trained step adds."""
    clean, schedule = torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(0)), Schedule()
    shares = schedule.cumulated()

    def denoiser(latent, time, text):
        return (latent - shares[time].sqrt() * clean) / (1 - shares[time]).sqrt()

    texts = (torch.zeros(2, 1, 1),) * 2
    found = sample(denoiser, torch.randn(2, 4, 3, 3), texts, schedule, steps=10)
    assert torch.allclose(found, clean, atol=0.15)
