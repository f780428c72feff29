"""The published weights of AirNet, by the degradations that they were trained for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from restorebench import WeightFile

if TYPE_CHECKING:
    from restorebench_airnet.options import AirNetRestoration

_REPOSITORY = "https://github.com/XLearning-SCU/2022-CVPR-AirNet"
_LICENCE = "none stated"


def _of(file: str, url: str) -> WeightFile:
    """Return a file. Sizes and digests are not published; digests are recorded at first use."""
    return WeightFile(f"airnet/{file}", url, _LICENCE, 0)


PUBLISHED = {
    "all": _of("All.pth", f"{_REPOSITORY}/raw/HEAD/ckpt/All.pth"),
    # these are on a cloud drive that the repository's page links to
    "denoise": _of("Denoise.pth", f"{_REPOSITORY}#Denoise.pth"),
    "derain": _of("Derain.pth", f"{_REPOSITORY}#Derain.pth"),
    "dehaze": _of("Dehaze.pth", f"{_REPOSITORY}#Dehaze.pth"),
}
"""`all` is for noise, rain and haze, each of the others for the degradation in its name."""


def files(options: AirNetRestoration) -> Sequence[WeightFile]:
    """List the published file that `airnet` needs."""
    return (PUBLISHED[options.weights],) if options.weights in PUBLISHED else ()
