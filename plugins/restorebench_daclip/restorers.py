"""The restorers: DA-CLIP + IR-SDE, and IR-SDE and Refusion for single tasks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from restorebench import CLEAN, Batch, Detection, RestorebenchError, Runtime
from restorebench.toolbox import weights
from restorebench.toolbox.networks import DTYPES
from restorebench_daclip import checkpoint
from restorebench_daclip.controller import Features
from restorebench_daclip.nafnet import NAFNet
from restorebench_daclip.options import DACLIPRestoration, Sampling, SingleTask
from restorebench_daclip.sampling import Sampler, bind_nafnet, bind_unet
from restorebench_daclip.tower import SEPARATOR
from restorebench_daclip.unet import NO_CONTEXT, UNet


class DACLIPIRSDE:
    """DA-CLIP + IR-SDE: restores under two CLIP features, of the clean content and of the degradation."""

    def __init__(self, options: DACLIPRestoration, runtime: Runtime) -> None:
        choice = options.weights
        self.options = options = options.settled(weights.notes(choice), choice)
        self.device = runtime.device
        self.controller = checkpoint.controller_from(options.controller or choice, runtime).to(runtime.device)
        unet = checkpoint.unet_from(choice, runtime)
        known = self.controller.embedding
        if unet.config.context != known:
            raise RestorebenchError(
                f"weights {choice}: this U-Net takes contexts of {unet.config.context} values, but the controller "
                f"{options.controller or choice} gives {known}; take a U-Net and a controller of one variant"
            )
        if options.contexts == "told" and not unet.config.degradation_context:
            raise RestorebenchError(
                f"contexts: told changes nothing for {choice}: this variant has no degradation context"
            )
        if options.contexts == "told" and not self.controller.tellable:
            raise RestorebenchError(
                f"contexts: told: the controller {options.controller or choice} has no language and no typical "
                "features; `python -m restorebench_daclip.train.typical` adds these"
            )
        self.unet = _prepared(unet, runtime.device, options)
        self.prompts = {task.name: task.prompt for task in runtime.tasks}
        self.sampler = Sampler(options, runtime.device)

    def restore(self, batch: Batch) -> Tensor:
        """Restore a batch; the contexts come from the whole images, also for a batch of tiles."""
        with torch.no_grad():
            features = self.contexts(batch)
            conditioning = self.unet.condition(features.image, features.degradation)
            evaluate = bind_unet(self.unet, batch.degraded, self.sampler.times, conditioning)
            return self.sampler(evaluate, batch)

    def contexts(self, batch: Batch) -> Features:
        """Return the features that condition the restoration, (B, D) each, not normalised."""
        whole = batch.degraded if batch.whole is None else batch.whole
        features = self.controller.encode_image(self.controller.seen(whole, self.options.crop))
        if self.options.contexts == "controller":
            return features
        return Features(features.image, self._encode_told(batch.told))

    def _encode_told(self, told: Sequence[Detection | None]) -> Tensor:
        """Encode told tasks by their prompts: those of a mixture are joined by commas, no task becomes `clean`."""
        texts = []
        for detection in told:
            if detection is None:
                raise RestorebenchError("contexts: told needs a suite that tells: `tell: task` or a detector")
            if unknown := sorted(detection.labels - self.prompts.keys()):
                known = ", ".join(self.prompts)
                raise RestorebenchError(f"told {unknown[0]!r}, which is no task here; there are {known}")
            texts.append(SEPARATOR.join(self.prompts[name] for name in sorted(detection.labels)) or CLEAN)
        return self.controller.encode_told(texts)


class IRSDE:
    """IR-SDE: restores with a U-Net that was trained for one task and has no contexts."""

    def __init__(self, options: SingleTask, runtime: Runtime) -> None:
        options = options.settled(weights.notes(options.weights), options.weights)
        self.unet: UNet = _prepared(
            checkpoint.unet_from(options.weights, runtime, contexts=False), runtime.device, options
        )
        self.sampler = Sampler(options, runtime.device)

    def restore(self, batch: Batch) -> Tensor:
        """Restore a batch."""
        with torch.no_grad():
            evaluate = bind_unet(self.unet, batch.degraded, self.sampler.times, NO_CONTEXT)
            return self.sampler(evaluate, batch)


class Refusion:
    """Refusion: restores with the activation-free network."""

    def __init__(self, options: SingleTask, runtime: Runtime) -> None:
        options = options.settled(weights.notes(options.weights), options.weights)
        self.nafnet: NAFNet = _prepared(checkpoint.nafnet_from(options.weights), runtime.device, options)
        self.sampler = Sampler(options, runtime.device)

    def restore(self, batch: Batch) -> Tensor:
        """Restore a batch."""
        with torch.no_grad():
            return self.sampler(bind_nafnet(self.nafnet, batch.degraded, self.sampler.times), batch)


def _prepared(network: checkpoint.Network, device: str, options: Sampling) -> checkpoint.Network:
    """Return a network on its device, in its precision, and in the memory layout of fast convolutions."""
    network = network.to(device).to(memory_format=torch.channels_last).requires_grad_(False)
    lowered = options.precision != "fp32" and not options.retry_in_fp32  # a retry needs float32 weights
    if isinstance(network, UNet) and lowered:
        network.lower(DTYPES[options.precision])
    if options.compile:
        network.compile()
    return network
