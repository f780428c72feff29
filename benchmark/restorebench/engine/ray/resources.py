"""The resources that a run requests from Ray, and those that Ray has."""

from __future__ import annotations

import math
from collections.abc import Mapping

import ray

from restorebench.contract.errors import DeviceError
from restorebench.suite.settings import Settings
from restorebench.worker.jobs import Setup

CPUS_PER_THREAD = 0.9
"""CPUs that an actor requests: with whole ones, two actors on two CPUs would leave none for Ray's other tasks."""


def needs(settings: Settings, setup: Setup) -> dict[str, float]:
    """Return each actor's request as options of Ray: CPUs, GPUs, and bytes of memory if its need is known.

    On a GPU no memory is requested: the machine's memory is not the bottleneck there, and its use is not recorded.

    Raises:
        DeviceError: Ray cannot give the device.
    """
    gpus = gpus_per_worker(settings, _resources().get("GPU", 0))
    asked = {"num_cpus": CPUS_PER_THREAD * setup.threads, "num_gpus": gpus}
    if not gpus and setup.peak_mib is not None:
        asked["memory"] = math.ceil(setup.peak_mib) * 2**20
    return asked


def gpus_per_worker(settings: Settings, there: float) -> float:
    """Return the GPUs that each actor requests, by default an even share of those `there`; 0 means the CPU.

    Raises:
        DeviceError: Ray cannot give the device.
    """
    device, asked = settings.device, settings.gpus_per_worker
    if device not in {"auto", "cpu", "cuda:0"}:
        raise DeviceError(f"--device {device}: Ray chooses among GPUs; use auto, cpu or cuda")
    if device == "cpu" and asked:
        raise DeviceError(f"--gpus-per-worker {asked:g} is of no use with --device cpu")
    if asked is None:
        share = 1 / math.ceil(settings.workers / there) if there and device != "cpu" else 0.0
        asked = math.floor(share * 10_000) / 10_000  # Ray's smallest fraction is 1/10,000
    if (asked or device == "cuda:0") and not there:
        option = f"--gpus-per-worker {asked:g}" if asked else f"--device {device}"
        raise DeviceError(f"{option}: this Ray has no GPU; use --device cpu")
    if device == "cuda:0" and not asked:
        raise DeviceError("--gpus-per-worker 0 leaves no GPU to --device cuda")
    return asked


def described(asked: Mapping[str, float] | None = None) -> str:
    """Describe in words an actor's request, or by default the resources of all machines of the Ray."""
    found = _resources() if asked is None else asked
    cpus, gpus = (found.get(f"num_{name.lower()}s", found.get(name, 0)) for name in ("CPU", "GPU"))
    text = f"{cpus:g} CPU{'s' * (cpus != 1)} and {gpus:g} GPU{'s' * (gpus != 1)}"
    return text + (f", {found['memory'] / 2**30:.1f} GiB" if "memory" in found else "")


def _resources() -> dict[str, float]:
    """Return the total resources of the Ray's machines, such as `CPU` and `GPU`."""
    return dict(ray.cluster_resources())  # type: ignore[no-untyped-call]  # Ray's function has no annotation
