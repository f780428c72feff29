"""The named protocols: the published conventions by which images are prepared for each metric.

benchmark/docs/protocols.md gives the source of each, and how much their scores differ.
"""

from __future__ import annotations

from dataclasses import replace

from restorebench import ScoringProtocol, Space

RGB = ScoringProtocol(name="rgb", summary="RGB, 8 bits, nothing cropped")
Y = replace(RGB, name="y", summary="BT.601 luma in 16..235, 8-bit input", space=Space.Y_STUDIO)
Y_FULL = replace(RGB, name="y-full", summary="BT.601 luma over the full range, 8-bit input", space=Space.Y_FULL)
DACLIP = replace(RGB, name="daclip", summary="RGB, 8 bits, 4 px cut from each side", crop_border=4)
AIRNET = ScoringProtocol(
    name="airnet",
    summary="RGB, clipped but not rounded, centre-cropped to multiples of 16",
    crop_multiple=16,
    quantised=False,
)

PSNR = (RGB, Y, Y_FULL, DACLIP, AIRNET)
SSIM = (RGB, Y, Y_FULL, DACLIP, replace(AIRNET, options={"window": "uniform"}))
MS_SSIM = (RGB, Y)
DACLIP_LPIPS = ScoringProtocol(
    name="daclip", summary="RGB, neither rounded nor clipped nor cropped", quantised=False, clipped=False
)


def lpips(net: str) -> tuple[ScoringProtocol, ...]:
    """Return the protocols of LPIPS on one backbone: `alex`, `vgg` or `squeeze`."""
    return tuple(replace(protocol, options={"net": net}) for protocol in (RGB, DACLIP_LPIPS))
