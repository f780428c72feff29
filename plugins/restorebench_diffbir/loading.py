"""Loading of networks as the options say: from named files, from published files, or tiny and random."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import nn

from restorebench import Runtime
from restorebench.toolbox.weights import fetch
from restorebench_diffbir import checkpoint, networks, published, stage1
from restorebench_diffbir.key_map import Part
from restorebench_diffbir.networks import Parts
from restorebench_diffbir.options import UNTRAINED, Restoration, Stage1


def cleaner_network(options: Stage1, runtime: Runtime) -> nn.Module:
    """Build the network of stage 1.

    Raises:
        MissingResource: its file is missing.
        RestorebenchError: its file is broken, or holds another network.
    """
    kind = options.cleaner_kind
    if options.weights == UNTRAINED:
        return checkpoint.untrained(stage1.TINY[kind])
    return checkpoint.cleaner(kind, options.cleaner or fetch(published.cleaner_file(options), runtime))


def parts(options: Restoration, runtime: Runtime) -> Parts:
    """Build all networks of stage 2.

    Raises:
        MissingResource: a file is missing.
        RestorebenchError: a file is broken, or holds another network.
    """
    if options.weights == UNTRAINED:
        return Parts(
            **{
                part: checkpoint.untrained(partial(build, networks.TINY))
                for part, build in checkpoint.BUILDERS.items()
            }
        )
    control = checkpoint.control(options.control or fetch(published.control_file(options), runtime))
    base = _base(options, runtime)
    return Parts(base["unet"], control, base["vae"], base["text"])


def _base(options: Restoration, runtime: Runtime) -> dict[Part, Any]:
    if options.base is not None:
        return checkpoint.stable_diffusion(options.base)
    if options.version == "v2.1":
        return checkpoint.stable_diffusion(fetch(published.ZERO_SNR, runtime))
    unet, vae, text = (fetch(file, runtime) for file in published.base_files(options.base_repository))
    return checkpoint.parts_of({"unet": unet, "vae": vae, "text": text})
