"""The three published versions: their networks, and their published settings for sampling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Version = Literal["v1", "v2", "v2.1"]
Task = Literal["bsr", "bfr", "bid"]
"""Blind super-resolution (general images), blind face restoration (aligned), blind denoising."""
CleanerKind = Literal["swinir", "bsrnet", "scunet"]
Sampler = Literal[
    "spaced",
    "ddim",
    "dpm++-m2",
    "euler",
    "euler-a",
    "heun",
    "dpm-2",
    "dpm-2-a",
    "lms",
    "dpm++-2s-a",
    "dpm++-sde",
    "dpm++-2m",
    "dpm++-2m-sde",
    "dpm++-3m-sde",
]


@dataclass(frozen=True)
class Facts:
    """The networks and the defaults of a version.

    cleaners: network and file name of stage 1, by task. controls: file name of the control branch, by task. base:
    file name of the Stable Diffusion in the original layout.
    """

    parameterisation: Literal["eps", "v"]
    cleaners: Mapping[Task, tuple[CleanerKind, str]]
    controls: Mapping[Task, str]
    base: str
    sampler: Sampler
    steps: int
    scale: float
    positive: str = ""
    negative: str = ""


_Cleaning = tuple[CleanerKind, str]
_FACE: _Cleaning = ("swinir", "face_swinir_v1.ckpt")
_GENERAL: _Cleaning = ("swinir", "general_swinir_v1.ckpt")
_REAL: _Cleaning = ("swinir", "realesrgan_s4_swinir_100k.pth")
_BASE = "v2-1_512-ema-pruned.ckpt"

VERSIONS: Mapping[Version, Facts] = {
    "v1": Facts(
        "eps",
        {"bsr": _GENERAL, "bfr": _FACE, "bid": _GENERAL},
        {"bsr": "v1_general.pth", "bfr": "v1_face.pth", "bid": "v1_general.pth"},
        _BASE,
        "spaced",
        50,
        1.0,
    ),
    "v2": Facts(
        "eps",
        {"bsr": ("bsrnet", "BSRNet.pth"), "bfr": _FACE, "bid": ("scunet", "scunet_color_real_psnr.pth")},
        dict.fromkeys(("bsr", "bfr", "bid"), "v2.pth"),
        _BASE,
        "spaced",
        50,
        4.0,
        negative="low quality, blurry, low-resolution, noisy, unsharp, weird textures",
    ),
    "v2.1": Facts(
        "v",
        {"bsr": _REAL, "bfr": _FACE, "bid": _REAL},
        dict.fromkeys(("bsr", "bfr", "bid"), "DiffBIR_v2.1.pt"),
        "sd2.1-base-zsnr-laionaes5.ckpt",
        "dpm++-3m-sde",
        10,
        6.0,
        positive="cinematic, high contrast, highly detailed, taken using a canon eos r camera, "
        "hyper detailed photo - realistic maximum detail, 32k, color grading, ultra hd, "
        "extreme meticulous detailing, skin pore detailing, hyper sharpness, perfect without deformations.",
        negative="painting, oil painting, illustration, drawing, art, sketch, oil painting, cartoon, cg style, "
        "3d render, unreal engine, blurring, dirty, messy, worst quality, low quality, frames, watermark, "
        "signature, jpeg artifacts, deformed, lowres, over-smooth.",
    ),
}
"""All versions. Guidance scales are the defaults of the published command line."""
