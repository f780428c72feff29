"""Counts in messages."""

from __future__ import annotations

import pytest

from restorebench.toolbox.counts import counted


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((0, "image"), "0 images"),
        ((1, "image"), "1 image"),
        ((1200, "image"), "1200 images"),
        ((1, "class", "classes"), "1 class"),
        ((2, "class", "classes"), "2 classes"),
        ((1, "image is", "images are"), "1 image is"),
    ],
)
def test_only_a_single_thing_is_in_the_singular(given, said):
    assert counted(*given) == said
