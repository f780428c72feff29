"""Metrics: PSNR, SSIM, MS-SSIM, LPIPS, and PSNR of the part of an image that a degradation changed."""

from __future__ import annotations

from functools import partial

from restorebench import CLEAN, MetricInfo, hookimpl
from restorebench_metrics import protocols
from restorebench_metrics.backbones import unavailable

WANG = "Wang et al., Image quality assessment: from error visibility to structural similarity, TIP 2004"
WANG_SCALES = "Wang et al., Multiscale structural similarity for image quality assessment, Asilomar 2003"
ZHANG = "Zhang et al., The unreasonable effectiveness of deep features as a perceptual metric, CVPR 2018"


def _pixels(name: str, summary: str, load: str, **facts: object) -> MetricInfo:
    facts = {"protocols": (protocols.RGB,), "higher_is_better": True, **facts}
    load = f"restorebench_metrics.{load}"
    # The facts are fields of the card; the dataclass refuses any other name.
    return MetricInfo(name=name, version="1", summary=summary, load=load, **facts)  # type: ignore[arg-type]  # facts: its fields


def _lpips(name: str, net: str, title: str, minimum_size: int) -> MetricInfo:
    return MetricInfo(
        name=name,
        version="1",
        summary=f"LPIPS 0.1 on {title}: distance of deep features",
        load="restorebench_metrics.lpips:load",
        citation=ZHANG,
        licence="BSD-2-Clause",
        higher_is_better=False,
        protocols=protocols.lpips(net),
        network=True,
        minimum_size=minimum_size,
        unavailable=partial(unavailable, net),
    )


@hookimpl
def restorebench_metrics() -> list[MetricInfo]:
    """Offer the metrics, the ones of the leaderboards first."""
    decibels = {"unit": "dB", "decimals": 2}
    hole = {"tasks": ("uncompleted",), "needs_map": "mask", **decibels}
    shadow = {"tasks": ("shadowed",), "needs_map": "matte", **decibels}
    low_light = {"tasks": ("low-light",), "ranks": False, **decibels}
    clean = {"tasks": (CLEAN,), "higher_is_better": False, "ranks": False, "decimals": 3}
    psnr = {"protocols": protocols.PSNR, "variants": "restorebench_metrics.variants:psnr", **decibels}
    ssim = {"protocols": protocols.SSIM, "minimum_size": 11, "citation": WANG}
    ssim |= {"variants": "restorebench_metrics.variants:ssim"}
    ms_ssim = {"protocols": protocols.MS_SSIM, "minimum_size": 161, "citation": WANG_SCALES}
    aligned = "PSNR after scaling to the mean grey of the ground truth, which a restorer does not know"
    return [
        _pixels("psnr", "Peak signal-to-noise ratio", "psnr:load", **psnr),
        _pixels("ssim", "Structural similarity", "ssim:load", **ssim),
        _pixels("ms-ssim", "Structural similarity over five scales", "ms_ssim:load", **ms_ssim),
        _lpips("lpips", "alex", "AlexNet", minimum_size=31),
        _lpips("lpips-vgg", "vgg", "VGG-16", minimum_size=16),
        _lpips("lpips-squeeze", "squeeze", "SqueezeNet 1.1", minimum_size=17),
        _pixels("psnr-hole", "PSNR of the missing pixels alone", "regions:load_marked", **hole),
        _pixels("psnr-shadow", "PSNR inside the shadow", "regions:load_marked", **shadow),
        _pixels("psnr-lit", "PSNR outside the shadow", "regions:load_unmarked", **shadow),
        _pixels("psnr-mean-aligned", aligned, "regions:load_mean_aligned", **low_light),
        _pixels(
            "altered", "Share of pixels of a clean input that come back changed", "regions:load_altered", **clean
        ),
    ]
