"""Comparison of everything with arrays that the published code computed; see tests/parity/diffbir."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from restorebench_diffbir import colour, guidance, multistep, sampling, schedule, windows

from tests.parity.comparing import Fixtures
from tests.parity.diffbir.__main__ import main
from tests.parity.diffbir.subjects import SUBJECTS, compare

FIXTURES = Fixtures(Path(__file__).with_name("fixtures"))
ALL = ("diffusers", "transformers", "spandrel")
LIBRARIES = {
    **dict.fromkeys(("schedules", "trajectories", "image_ops", "guidance", "bsrnet"), ()),
    **dict.fromkeys(("guidance_vae", "tiny_vae", "tiny_control_unet", "full_control_unet"), ("diffusers",)),
    **dict.fromkeys(("swinir", "scunet", "e2e_condition"), ("spandrel",)),
    "text_tiny": ("transformers",),
}
"""The libraries that a subject needs besides the host; subjects that are not listed need all."""
NEARBY = ("schedules", "trajectories", "image_ops", "guidance")
ELSEWHERE = [name for name in SUBJECTS if name not in NEARBY]
LONG = (pytest.mark.slow, pytest.mark.timeout(1800))  # a minute each; many minutes on a busy machine
SLOW = {name for name in ELSEWHERE if name.startswith("e2e_v")} | {"full_control_unet", "swinir"}


def held(name, fixtures):
    for library in LIBRARIES.get(name, ALL):
        pytest.importorskip(library, reason="stage 1 and 2 are networks of the extra [diffbir]")
    rows = compare(name, fixtures)
    assert rows
    assert [row for row in rows if not row.holds] == []


@pytest.mark.parametrize("name", NEARBY)
def test_agrees_with_the_published_code(name):
    held(name, FIXTURES)


@pytest.mark.parametrize("name", [pytest.param(n, marks=LONG if n in SLOW else ()) for n in ELSEWHERE])
def test_agrees_with_the_published_code_where_its_arrays_are(name, shared):
    folder = shared / "parity" / "diffbir"
    if not folder.is_dir():
        pytest.skip("the arrays of this method are not there")
    held(name, Fixtures(folder))


def failed(name):
    return {row.subject for row in compare(name, FIXTURES) if not row.holds}


def test_a_mean_over_blocks_in_place_of_a_sum_is_noticed(monkeypatch):
    """The comparison itself can fail: the paper's text and its code differ here."""
    monkeypatch.setattr(guidance, "BLOCK", 1)
    assert "guidance weights" in failed("guidance")


def test_guidance_that_forgets_the_posterior_factor_is_noticed(monkeypatch):
    def forgetful(self, clean, index):
        return clean + self.pull(clean)[0]

    monkeypatch.setattr(guidance.Guidance, "__call__", forgetful)
    assert "linear.wmse.idx25 posterior mean" in failed("guidance")


def test_a_schedule_that_keeps_its_signal_is_noticed(monkeypatch):
    plain = schedule.Schedule("eps").shares
    monkeypatch.setattr(schedule.Schedule, "shares", property(lambda self: plain))
    wrong = failed("schedules")
    assert {"v betas", "v shares"} <= wrong
    assert not [subject for subject in wrong if subject.startswith("eps")]


def test_a_third_order_without_its_third_order_is_noticed(monkeypatch):
    monkeypatch.setitem(sampling._ONE_STEP, "dpm++-3m-sde", multistep.dpmpp_2m_sde)
    assert "eps.edm_dpm++_3m_sde.10 final" in failed("trajectories")


def test_windows_that_peak_in_their_middle_are_noticed(monkeypatch):
    right = windows.bell
    monkeypatch.setattr(windows, "bell", lambda height, width: (right(height, width) + right(width, height).T) / 2)
    assert "blended bell" in failed("image_ops")


def test_colours_of_four_levels_are_noticed(monkeypatch):
    monkeypatch.setattr(colour, "_LEVELS", 4)
    assert {"wavelet low", "wavelet high", "wavelet out"} == failed("image_ops")


def test_the_command_prints_a_table(capsys):
    assert main([str(FIXTURES.folder), "schedules", "image_ops"]) == 0
    printed = capsys.readouterr().out
    assert "| v betas |" in printed
    assert "TOO FAR" not in printed


def test_comparison_of_other_shapes_fails():
    from tests.parity.diffbir.fixtures import absolute

    assert not absolute("x", torch.zeros(2), torch.zeros(3), 1.0).holds


def test_what_is_not_installed_is_one_line(capsys, monkeypatch):
    def needing(fixtures):
        raise ModuleNotFoundError("No module named 'spandrel'", name="spandrel")

    monkeypatch.setitem(SUBJECTS, "swinir", needing)
    assert main([str(FIXTURES.folder), "swinir"]) == 2
    assert capsys.readouterr().err == (
        "error: swinir needs spandrel, which is not installed; install the plugin's extra,"
        " or name other subjects\n"
    )
