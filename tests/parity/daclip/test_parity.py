"""All comparisons with arrays that the published code computed; see tests/parity/daclip."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.parity.comparing import Row
from tests.parity.daclip.__main__ import main
from tests.parity.daclip.fixtures import Fixtures, fill
from tests.parity.daclip.subjects import SUBJECTS, compare

FIXTURES = Path(__file__).with_name("fixtures")
SLOW = {"daclip_vitl14", "daclip_vitb32"}
PHOTOGRAPHS = {"preprocessing", "metrics", "degradations"}


@pytest.mark.parametrize("name", [name for name in SUBJECTS if name not in SLOW | PHOTOGRAPHS])
def test_agrees_with_the_published_code(name):
    rows = compare(name, Fixtures(FIXTURES))
    assert rows
    assert [row for row in rows if not row.holds] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SLOW))
def test_large_controllers_agree_with_the_published_code(name):
    assert [row for row in compare(name, Fixtures(FIXTURES)) if not row.holds] == []


@pytest.mark.parametrize("name", sorted(PHOTOGRAPHS))
def test_what_happens_to_photographs_agrees_with_the_published_code(shared, name):
    rows = compare(name, Fixtures(shared / "parity" / "daclip"))
    assert [row for row in rows if not row.holds] == []


def test_a_wrong_network_is_noticed():
    """The comparison itself can fail: another time embedding gives another output."""
    fixtures = Fixtures(FIXTURES)

    class Broken(Fixtures):
        def network(self, name, build):
            network = fixtures.network(name, build)
            network.time_mlp[1].weight.data[0] += 0.1
            return network

    rows = compare("unet_tiny", Broken(FIXTURES))
    assert not any(row.holds for row in rows)


def test_another_layout_is_noticed():
    with pytest.raises(ValueError, match="keys differ from the manifest"):
        Fixtures(FIXTURES).network("unet_tiny", lambda config: torch.nn.Linear(2, 2))


def test_nan_never_holds():
    assert not Row("x", float("nan"), 1.0).holds


def test_weights_by_rule_stay_within_their_bounds():
    layer = torch.nn.Linear(3, 4)
    fill(layer)
    assert float(layer.weight.detach().abs().max()) <= 1.0  # sqrt(3 / 3)
    assert float(layer.bias.detach().abs().max()) <= 0.05


def test_the_command_prints_a_table(capsys):
    assert main([str(FIXTURES), "schedule", "toy"]) == 0
    printed = capsys.readouterr().out
    assert "| toy posterior_sT100 |" in printed
    assert "TOO FAR" not in printed
