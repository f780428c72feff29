"""What a run asks Ray for, and what that has."""

from __future__ import annotations

import math
from collections.abc import Mapping

import ray

from restorebench.contract.errors import DeviceError
from restorebench.suite.settings import Settings
from restorebench.worker.jobs import Setup

CPUS_PER_THREAD = 0.9
"""What an actor asks for: with whole ones, two actors on two CPUs leave no room for anything else of Ray's."""


def needs(settings: Settings, setup: Setup) -> dict[str, float]:
    """Return what each actor asks for, as Ray's options: CPUs, GPUs, and bytes of memory where that is known.

    On a GPU the memory of the machine is no plugin's bottleneck, and not what is remembered.

    Raises:
        DeviceError: the device is none that Ray can give.
    """
    gpus = gpus_per_worker(settings, _resources().get("GPU", 0))
    asked = {"num_cpus": CPUS_PER_THREAD * setup.threads, "num_gpus": gpus}
    if not gpus and setup.peak_mib is not None:
        asked["memory"] = math.ceil(setup.peak_mib) * 2**20
    return asked


def gpus_per_worker(settings: Settings, there: float) -> float:
    """Say what each actor asks for, by default an even share of those that are `there`; 0 has it use the CPU.

    Raises:
        DeviceError: the device is none that Ray can give.
    """
    device, asked = settings.device, settings.gpus_per_worker
    if device not in {"auto", "cpu", "cuda:0"}:
        raise DeviceError(f"--device {device}: Ray chooses among GPUs; use auto, cpu or cuda")
    if device == "cpu" and asked:
        raise DeviceError(f"--gpus-per-worker {asked:g} is of no use with --device cpu")
    if asked is None:
        share = 1 / math.ceil(settings.workers / there) if there and device != "cpu" else 0.0
        asked = math.floor(share * 10_000) / 10_000  # Ray counts in such parts
    if (asked or device == "cuda:0") and not there:
        option = f"--gpus-per-worker {asked:g}" if asked else f"--device {device}"
        raise DeviceError(f"{option}: this Ray has no GPU; use --device cpu")
    if device == "cuda:0" and not asked:
        raise DeviceError("--gpus-per-worker 0 leaves no GPU to --device cuda")
    return asked


def described(asked: Mapping[str, float] | None = None) -> str:
    """Put what an actor asks for into words, or what all machines of the Ray have together."""
    found = _resources() if asked is None else asked
    cpus, gpus = (found.get(f"num_{name.lower()}s", found.get(name, 0)) for name in ("CPU", "GPU"))
    text = f"{cpus:g} CPUs and {gpus:g} GPUs"
    return text + (f", {found['memory'] / 2**30:.1f} GiB" if "memory" in found else "")


def _resources() -> dict[str, float]:
    """Return what all machines of the Ray have together, such as `CPU` and `GPU`."""
    return dict(ray.cluster_resources())  # type: ignore[no-untyped-call]  # Ray's has no annotation
