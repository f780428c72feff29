"""Replacement of a U-Net's cross-attention keys and values by those that a Mapper was trained with.

The published code replaces the attention's forward, for every text and in both passes of guidance. Overwriting the
weights once has the same effect.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from restorebench import RestorebenchError
from restorebench.toolbox.counts import counted

_ENDS = ("_to_k.weight", "_to_v.weight")


def divided(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Divide a Mapper's file into its word networks and the projections of cross-attention."""
    projections = {name: value for name, value in state.items() if name.endswith(_ENDS)}
    return {name: value for name, value in state.items() if name not in projections}, projections


def layers(unet: nn.Module) -> dict[str, nn.Module]:
    """Map the published names, `..._attn2_to_k` and `..._attn2_to_v`, to these layers of a U-Net."""
    return {
        f"{path.replace('.', '_')}_{projection}": module.get_submodule(projection)
        for path, module in unet.named_modules()
        if path.rpartition(".")[2] == "attn2"
        for projection in ("to_k", "to_v")
    }


def overwrite(unet: nn.Module, projections: Mapping[str, Tensor], name: str = "the Mapper") -> None:
    """Overwrite `to_k` and `to_v` of every `attn2` of a U-Net; name: what error messages call the file.

    Raises:
        RestorebenchError: the file was trained with another U-Net.
    """
    own = {f"{path}.weight": layer.get_parameter("weight") for path, layer in layers(unet).items()}
    wrong = sorted(
        key
        for key in own.keys() | projections.keys()
        if key not in own or key not in projections or own[key].shape != projections[key].shape
    )
    if wrong:
        projections_do = counted(
            len(wrong), "projection of cross-attention does", "projections of cross-attention do"
        )
        raise RestorebenchError(
            f"{name}: {projections_do} not fit the U-Net ({', '.join(wrong[:2])}); "
            "expected: a Mapper trained with this Stable Diffusion (2.1-base)"
        )
    with torch.no_grad():
        for key, parameter in own.items():
            parameter.copy_(projections[key])
