"""The scores of one pair under the conventions of published scripts that are not protocols of PSNR and SSIM.

A convention has a treatment of the pixels, a colour space, a crop and a formula. All combinations whose rarities
add up to at most a given one are computed. benchmark/docs/protocols.md lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from restorebench import Variant
from restorebench_metrics import psnr_variants, ssim_variants
from restorebench_metrics.colours import COLOURS
from restorebench_metrics.crops import Crop, crops
from restorebench_metrics.pixels import Pair, pairs
from restorebench_metrics.steps import Step

if TYPE_CHECKING:
    from restorebench_metrics.steps import Array

    Score = Callable[[Array, Array, Sequence[Crop], float], Iterator[tuple[Crop, Step, float]]]


def psnr(restored: Array, clean: Array, rarest: float) -> Iterator[tuple[Variant, float]]:
    """Yield PSNR in dB under each variant; inf where the images are equal.

    restored, clean: (H, W, 3) in [0, 1], of one size. rarest: the largest rarity.
    """
    return _variants(psnr_variants.scores, restored, clean, rarest)


def ssim(restored: Array, clean: Array, rarest: float) -> Iterator[tuple[Variant, float]]:
    """Yield SSIM under each variant for which the image is large enough. Arguments as for `psnr`."""
    return _variants(ssim_variants.scores, restored, clean, rarest)


def _variants(score: Score, restored: Array, clean: Array, rarest: float) -> Iterator[tuple[Variant, float]]:
    """Yield the scores of a pair; where a step changes nothing, those of the pair itself under its name."""
    unchanged: tuple[Pair, list[tuple[Variant, float]]] | None = None
    for pair in pairs(_planes(restored), _planes(clean), rarest):
        if unchanged is None:
            unchanged = pair, list(_of_pair(score, pair, rarest))
            found = unchanged[1]
        elif pair.restored is unchanged[0].restored and pair.clean is unchanged[0].clean:
            found = [(_with(pair.step, variant), value) for variant, value in unchanged[1]]
        else:
            found = list(_of_pair(score, pair, rarest))
        yield from (each for each in found if each[0].rarity <= rarest and each[0].preparation + each[0].formula)


def _planes(image: Array) -> Array:
    return np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float64)


def _with(pair: Step, variant: Variant) -> Variant:
    preparation = pair.words + variant.preparation
    return Variant(variant.protocol, preparation, variant.formula, variant.rarity + pair.rarity)


def _of_pair(score: Score, pair: Pair, rarest: float) -> Iterator[tuple[Variant, float]]:
    """Yield the scores of one prepared pair in every colour space and crop."""
    for colour in COLOURS:
        left = rarest - pair.step.rarity - colour.step.rarity
        if left < 0 or (pair.step.words and colour.step.words):
            continue  # no script is known that departs in both
        x, y = colour.restored(pair.restored), colour.clean(pair.clean)
        for crop, formula, value in score(x, y, crops(x.shape[1], x.shape[2], left), left):
            for cut in crop.steps:
                images = pair.step + colour.step + cut
                rarity = images.rarity + formula.rarity
                yield Variant(colour.protocol, images.words, formula.words, rarity), value
