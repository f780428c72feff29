"""The published files, and which of them the options need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from restorebench import WeightFile
from restorebench_diffbir.options import UNTRAINED, Restoration, Stage1
from restorebench_diffbir.versions import VERSIONS

_HUB = "https://huggingface.co/"
_V2, _V1 = f"{_HUB}lxq007/DiffBIR-v2/resolve/main/", f"{_HUB}lxq007/DiffBIR/resolve/main/"
_KAIR = "https://github.com/cszn/KAIR/releases/download/v1.0/"
_LICENCE = "Apache-2.0; stage 2 also CreativeML Open RAIL++-M"
_OPEN_RAIL = "CreativeML Open RAIL++-M"

# Bytes are those of the tensors in float32. The sizes of the files are not published; they are a little larger.
_SWINIR, _CONTROL = 4 * 15_792_587, 4 * 363_153_280
_UNET, _VAE, _TEXT = 4 * 865_910_724, 4 * 83_653_863, 4 * 340_387_840
_TEXT_STORED = 4 * 354_032_641  # with a layer that is not used

FILES: Mapping[str, WeightFile] = {
    file.name: file
    for file in (
        WeightFile("BSRNet.pth", f"{_KAIR}BSRNet.pth", "MIT", 4 * 16_697_987),
        WeightFile("scunet_color_real_psnr.pth", f"{_KAIR}scunet_color_real_psnr.pth", "MIT", 4 * 17_946_072),
        WeightFile("face_swinir_v1.ckpt", f"{_V1}face_swinir_v1.ckpt", _LICENCE, _SWINIR),
        WeightFile("general_swinir_v1.ckpt", f"{_V1}general_swinir_v1.ckpt", _LICENCE, _SWINIR),
        WeightFile("realesrgan_s4_swinir_100k.pth", f"{_V2}realesrgan_s4_swinir_100k.pth", _LICENCE, _SWINIR),
        WeightFile("v1_general.pth", f"{_V2}v1_general.pth", _LICENCE, _CONTROL),
        WeightFile("v1_face.pth", f"{_V2}v1_face.pth", _LICENCE, _CONTROL),
        WeightFile("v2.pth", f"{_V2}v2.pth", _LICENCE, _CONTROL),
        WeightFile("DiffBIR_v2.1.pt", f"{_V2}DiffBIR_v2.1.pt", _LICENCE, _CONTROL),
    )
}
"""Files of both stages by name."""

ZERO_SNR = WeightFile(
    VERSIONS["v2.1"].base,
    f"{_V2}{VERSIONS['v2.1'].base}",
    _OPEN_RAIL,
    _UNET + _VAE + _TEXT_STORED,
)
"""The Stable Diffusion of v2.1, in the original layout."""


def base_files(repository: str) -> tuple[WeightFile, WeightFile, WeightFile]:
    """Return the files of the U-Net, the VAE and the text tower of a Stable Diffusion in diffusers' layout."""
    name = repository.rpartition("/")[2]
    address = f"{_HUB}{repository}/resolve/main/"

    def file(path: str, size: int) -> WeightFile:
        return WeightFile(f"{name}/{path}", address + path, _OPEN_RAIL, size)

    return (
        file("unet/diffusion_pytorch_model.safetensors", _UNET),
        file("vae/diffusion_pytorch_model.safetensors", _VAE),
        file("text_encoder/model.safetensors", _TEXT),
    )


def cleaner_file(options: Stage1) -> WeightFile:
    """Return the published file of stage 1."""
    return FILES[options.facts.cleaners[options.task][1]]


def control_file(options: Restoration) -> WeightFile:
    """Return the published file of the control branch."""
    return FILES[options.facts.controls[options.task]]


def stage1_files(options: Stage1) -> Sequence[WeightFile]:
    """Return the published files that `diffbir-stage1` needs."""
    if options.weights == UNTRAINED or options.cleaner is not None:
        return ()
    return (cleaner_file(options),)


def files(options: Restoration) -> Sequence[WeightFile]:
    """Return the published files that `diffbir` needs."""
    if options.weights == UNTRAINED:
        return ()
    found = list(stage1_files(options))
    if options.control is None:
        found.append(control_file(options))
    if options.base is None:
        found += [ZERO_SNR] if options.version == "v2.1" else base_files(options.base_repository)
    return found
