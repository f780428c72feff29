"""Measure DiffBIR's networks: `python benchmark/docs/performance/diffbir.py [NETWORK ...] [--side 512]`.

Each at full size in a process of its own: CPU seconds of its first evaluation, and the greatest memory that the
process held, its weights and libraries with it. Weights are small random numbers, which changes neither.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from restorebench_diffbir import checkpoint, stage1
from restorebench_diffbir.guidance import Guidance
from restorebench_diffbir.networks import LATENT, REDUCTION, SCALING, TOKENS, Sizes
from torch import Tensor, nn

SIZES = Sizes()
SPREAD = 0.02


def latent(side: int, channels: int = LATENT) -> Tensor:
    """Return a latent of an image."""
    return torch.randn(1, channels, side // REDUCTION, side // REDUCTION)


def image(side: int) -> Tensor:
    """Return an image."""
    return torch.rand(1, 3, side, side)


def words() -> Tensor:
    """Return an encoded prompt."""
    return torch.randn(1, TOKENS, SIZES.text_width)


def pulled(vae: nn.Module, side: int) -> None:
    """Take the gradient of one guided step, through the decoder."""
    target = 2 * image(side) - 1
    guide = Guidance(target, None, lambda z: vae.decode(z / SCALING).sample, 0.5, torch.ones(1), (0,))
    guide.pull(latent(side))


BUILT: dict[str, Callable[[], nn.Module]] = {
    **stage1.BUILDERS,
    "unet": lambda: checkpoint.built("unet", SIZES),
    "control": lambda: checkpoint.built("control", SIZES),
    "encoder": lambda: checkpoint.built("vae", SIZES),
    "decoder": lambda: checkpoint.built("vae", SIZES),
    "guided": lambda: checkpoint.built("vae", SIZES),
    "text": lambda: checkpoint.built("text", SIZES),
}
USED: dict[str, Callable[[nn.Module, int], object]] = {
    **dict.fromkeys(stage1.BUILDERS, lambda network, side: network(image(side))),
    "unet": lambda network, side: network(latent(side), 500, words()),
    "control": lambda network, side: network(latent(side, 8), 500, words(), latent(side), return_dict=False),
    "encoder": lambda network, side: network.encode(image(side)),
    "decoder": lambda network, side: network.decode(latent(side)),
    "guided": pulled,
    "text": lambda network, side: network(torch.zeros(1, TOKENS, dtype=torch.long)),
}
"""Every network, and one evaluation of it at a size of the image in px."""


def measure(name: str, side: int) -> None:
    """Print one row."""
    torch.manual_seed(0)
    network = BUILT[name]().eval().requires_grad_(False)
    for value in network.parameters():
        value.normal_(std=SPREAD)
    began = time.process_time()
    with torch.no_grad():
        USED[name](network, side)
    seconds = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    count = sum(value.numel() for value in network.parameters())
    print(f"| {name} | {side} | {count:,} | {peak:.2f} | {seconds:.1f} |", flush=True)


def main() -> None:
    """Measure each network in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"all by default: {', '.join(BUILT)}")
    parser.add_argument("--side", type=int, default=512, help="of the image, px")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--alone", action="store_true", help="measure in this process")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.alone:
        measure(given.networks[0], given.side)
        return
    print("| network | image, px | parameters | peak of the process, GiB | one evaluation, s of CPU |")
    print("|---|---|---|---|---|", flush=True)
    for name in given.networks or BUILT:
        command = [sys.executable, __file__, name, "--alone", "--side", str(given.side)]
        subprocess.run([*command, "--threads", str(given.threads)], check=True)


if __name__ == "__main__":
    main()
