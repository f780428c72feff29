"""Metrics: PSNR, SSIM, MS-SSIM, LPIPS, and PSNR of the part of an image that a degradation touched."""

from __future__ import annotations

from functools import partial

from restorebench import MetricInfo, hookimpl
from restorebench_metrics import protocols
from restorebench_metrics.backbones import unavailable

WANG = "Wang et al., Image quality assessment: from error visibility to structural similarity, TIP 2004"
WANG_SCALES = "Wang et al., Multiscale structural similarity for image quality assessment, Asilomar 2003"
ZHANG = "Zhang et al., The unreasonable effectiveness of deep features as a perceptual metric, CVPR 2018"


def _psnr(name: str, summary: str, load: str, **facts: object) -> MetricInfo:
    facts = {"protocols": (protocols.RGB,), **facts}
    return MetricInfo(
        name=name,
        version="1",
        summary=summary,
        load=f"restorebench_metrics.{load}",
        higher_is_better=True,
        unit="dB",
        decimals=2,
        **facts,  # type: ignore[arg-type]  # a card's own fields, checked by the dataclass
    )


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
    shadow = {"tasks": ("shadowed",), "needs_map": "matte"}
    hole = {"tasks": ("uncompleted",), "needs_map": "mask"}
    ssim = MetricInfo(
        name="ssim",
        version="1",
        summary="Structural similarity",
        load="restorebench_metrics.ssim:load",
        citation=WANG,
        higher_is_better=True,
        protocols=protocols.SSIM,
        minimum_size=11,
    )
    ms_ssim = MetricInfo(
        name="ms-ssim",
        version="1",
        summary="Structural similarity over five scales",
        load="restorebench_metrics.ms_ssim:load",
        citation=WANG_SCALES,
        higher_is_better=True,
        protocols=protocols.MS_SSIM,
        minimum_size=161,
    )
    aligned = "PSNR after scaling to the mean grey of the ground truth, which a restorer does not know"
    return [
        _psnr("psnr", "Peak signal-to-noise ratio", "psnr:load", protocols=protocols.PSNR),
        ssim,
        ms_ssim,
        _lpips("lpips", "alex", "AlexNet", minimum_size=31),
        _lpips("lpips-vgg", "vgg", "VGG-16", minimum_size=16),
        _lpips("lpips-squeeze", "squeeze", "SqueezeNet 1.1", minimum_size=17),
        _psnr("psnr-hole", "PSNR of the missing pixels alone", "regions:load_marked", **hole),
        _psnr("psnr-shadow", "PSNR inside the shadow", "regions:load_marked", **shadow),
        _psnr("psnr-lit", "PSNR outside the shadow", "regions:load_unmarked", **shadow),
        _psnr("psnr-mean-aligned", aligned, "regions:load_mean_aligned", tasks=("low-light",)),
    ]
