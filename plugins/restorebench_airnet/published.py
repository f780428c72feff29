"""The published weights of AirNet and what they are made for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from restorebench import WeightFile

if TYPE_CHECKING:
    from restorebench_airnet.options import AirNetRestoration

_PLACE = "https://github.com/XLearning-SCU/2022-CVPR-AirNet"
_LICENCE = "none stated"


def _of(file: str, url: str) -> WeightFile:
    """Name a file. Sizes and digests are not published: digests are recorded at first use."""
    return WeightFile(f"airnet/{file}", url, _LICENCE, 0)


PUBLISHED = {
    "all": _of("All.pth", f"{_PLACE}/raw/HEAD/ckpt/All.pth"),
    # these lie on a cloud drive that the repository's page links to
    "denoise": _of("Denoise.pth", f"{_PLACE}#Denoise.pth"),
    "derain": _of("Derain.pth", f"{_PLACE}#Derain.pth"),
    "dehaze": _of("Dehaze.pth", f"{_PLACE}#Dehaze.pth"),
}
"""All: noise, rain and haze. The others: what their names say."""


def files(options: AirNetRestoration) -> Sequence[WeightFile]:
    """Name the published file that `airnet` needs."""
    return (PUBLISHED[options.weights],) if options.weights in PUBLISHED else ()
