"""The restorer as the host calls it."""

from __future__ import annotations

import torch
from torch import Tensor

from restorebench import Batch, Runtime
from restorebench.toolbox.networks import DTYPES
from restorebench_airnet import checkpoint
from restorebench_airnet.options import AirNetRestoration


class AirNetRestorer:
    """AirNet, a blind method: the network recognises the degradation by itself."""

    def __init__(self, options: AirNetRestoration, runtime: Runtime) -> None:
        network = checkpoint.image_network(options.weights, runtime).requires_grad_(False)
        if options.precision != "fp32":
            network.lower(DTYPES[options.precision])
        self.network = network.to(runtime.device).to(memory_format=torch.channels_last)

    def restore(self, batch: Batch) -> Tensor:
        """Restore a batch; told tasks are ignored."""
        with torch.no_grad():
            given = batch.degraded.contiguous(memory_format=torch.channels_last)
            out: Tensor = self.network(given)
        return out.contiguous()
