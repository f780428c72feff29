"""Restore a large image in tiles: `python benchmark/docs/performance/large_image.py [--tile N ...]`.

Writes a full-size U-Net and controller, filled by rule, to files, and restores through the worker as a suite
does, each configuration in a process of its own. Prints the greatest memory held and, on an image that fits
whole too, what tiling changes and whether its seams show: the mean step of (tiled - whole) from one side of a
tile's border to the other, and beside the borders. Where the two are equal there is no seam.

The weights are of no trained network; their output is scaled to a small share of clean - degraded, so that
states stay images. Memory does not depend on weights or on the number of evaluations.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import PIL.Image
import torch
from restorebench_daclip import networks
from restorebench_daclip.controller import Controller
from restorebench_daclip.options import DACLIPRestoration
from restorebench_daclip.parity.fixtures import fill
from restorebench_daclip.restorers import DACLIPIRSDE
from restorebench_daclip.unet import UNIVERSAL, UNet
from torch import Tensor

from restorebench import TEN, Batch, Runtime, catalog
from restorebench.toolbox import tiling
from restorebench.toolbox.photographs import embedded
from restorebench.worker import restoring

GOAL = 8.0e9  # bytes
NEAR = 16  # px
OUTPUT = 0.1  # share of what the filled network gives
VIT_B_32 = {
    "embed_dim": 512,
    "vision_cfg": {"image_size": 224, "layers": 12, "width": 768, "patch_size": 32},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 512, "heads": 8, "layers": 12},
}


@dataclass(frozen=True)
class Work:
    """One restoration. tile, overlap: px, 0 for the whole image."""

    height: int
    width: int
    tile: int
    overlap: int
    steps: int
    precision: str
    device: str
    threads: int
    weights: str
    controller: str
    out: str


def write_weights(folder: Path, smoke: bool) -> tuple[Path, Path]:
    """Write both halves, filled by rule; tiny ones to try the script."""
    unet = UNet(networks.TINY_UNET if smoke else UNIVERSAL)
    controller = Controller.of(networks.TINY_CONTROLLER if smoke else VIT_B_32)
    for network in (unet, controller):
        fill(network)
    with torch.no_grad():
        unet.final_conv.weight.mul_(OUTPUT)
        unet.final_conv.bias.mul_(OUTPUT)  # type: ignore[union-attr]  # the layer has a bias
    paths = folder / "unet.pth", folder / "controller.pth"
    torch.save(unet.state_dict(), paths[0])
    torch.save(controller.state_dict(), paths[1])
    return paths


def photograph(height: int, width: int) -> Tensor:
    """Return an embedded photograph, mirrored until it is as large, as (1, 3, H, W) in [0, 1]."""
    source = np.asarray(PIL.Image.open(sorted(embedded().values())[0]).convert("RGB"))
    beyond = [(0, max(side - have, 0)) for side, have in zip((height, width), source.shape, strict=False)]
    large = np.pad(source, [*beyond, (0, 0)], mode="symmetric")[:height, :width]
    return torch.from_numpy(large.copy()).permute(2, 0, 1)[None].float() / 255


def carry_out(work: Work) -> None:
    """Restore in this process; keep the image and print seconds and the peak in bytes."""
    torch.set_num_threads(work.threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False  # as in a worker
    runtime = Runtime(work.device, work.threads, Path(work.out), {}, True, TEN, lambda kind, name: None)
    options = DACLIPRestoration(
        weights=Path(work.weights),
        controller=Path(work.controller),
        sampler="multistep-ode",
        steps=work.steps,
        prediction="data",
        precision=work.precision,  # type: ignore[arg-type]  # one of the choices
    )
    card = catalog.discover().find("restorer", "daclip-irsde")
    size = work.height, work.width
    batch = Batch(photograph(*size).to(work.device), (None,), (1,), size)
    restorer = DACLIPIRSDE(options, runtime)
    restored = restoring.restore(restorer, card, batch, work.tile or None, work.overlap)
    torch.save(restored.images.cpu(), work.out)
    assert restored.peak_mib is not None  # Linux tells
    print(json.dumps({"seconds": restored.seconds, "bytes": restored.peak_mib * 2**20, "told": restored.fallback}))


def measured(work: Work) -> tuple[Tensor, dict[str, float]]:
    """Restore in a process of its own; return the image and what it printed."""
    command = [sys.executable, __file__, "--work", json.dumps(asdict(work))]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    told: dict[str, float] = json.loads(answer.splitlines()[-1])
    return torch.load(work.out), told


def steps_over_borders(change: Tensor, tile: int, overlap: int) -> tuple[float, float]:
    """Return the mean step of a change (1, 3, H, W) over tiles' borders, and beside them, at most NEAR px away."""
    at_borders: list[float] = []
    beside: list[float] = []
    for dim, along in ((-2, 3), (-1, 2)):
        length = change.shape[dim]
        begins = tiling.starts(length, tile, overlap)
        # a tile's weight sets in at its start and runs out at its end; both are borders
        borders = {*begins, *(min(begin + tile, length) for begin in begins)} - {0, length}
        steps = change.diff(dim=dim).abs().mean(dim=(0, 1, along))
        for place, step in enumerate(steps.tolist(), start=1):
            if place in borders:
                at_borders.append(step)
            elif min((abs(place - border) for border in borders), default=length) <= NEAR:
                beside.append(step)
    return sum(at_borders) / len(at_borders), sum(beside) / len(beside)


def main() -> None:
    """Measure each configuration and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, nargs=2, default=(1080, 1920), help="height and width, px")
    parser.add_argument("--tile", type=int, nargs="+", default=[512, 256], help="px; 0 restores it whole")
    parser.add_argument("--whole", type=int, nargs=2, default=(512, 768), help="of the image for seams, px")
    parser.add_argument("--overlap", type=int, default=32, help="px that tiles share, 32 as in a suite")
    parser.add_argument("--steps", type=int, default=2, help="evaluations")
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16", "fp16"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--smoke", action="store_true", help="tiny networks, to try the script")
    given = parser.parse_args()
    if given.work:
        carry_out(Work(**json.loads(given.work)))
        return
    with tempfile.TemporaryDirectory() as name:
        unet, controller = write_weights(Path(name), given.smoke)

        def run(size: tuple[int, int], tile: int, overlap: int) -> tuple[Tensor, dict[str, float]]:
            where = (str(unet), str(controller), str(Path(name) / "restored.pt"))
            how = (given.steps, given.precision, given.device, given.threads)
            return measured(Work(*size, tile, overlap, *how, *where))

        print(f"{given.device}, {given.precision}, {given.steps} evaluations, torch {torch.__version__}\n")
        print(
            "| image, px | tile, overlap | peak, GB | s per evaluation | below the goal |\n|---|---|---|---|---|"
        )
        whole = run(given.whole, 0, 0)
        print(row(given.whole, 0, 0, whole[1], given.steps), flush=True)
        for tile in given.tile:
            _, told = run(given.size, tile, given.overlap)
            print(row(given.size, tile, given.overlap, told, given.steps), flush=True)
        print(f"\n{given.whole[1]} x {given.whole[0]} px, tiled against whole\n")
        print("| tile, overlap | mean difference | greatest | step over borders | beside | ratio |")
        print("|---|---|---|---|---|---|")
        for tile in [each for each in given.tile if 0 < each < max(given.whole)]:
            for overlap in [each for each in (0, given.overlap, 2 * given.overlap) if each < tile]:
                change = run(given.whole, tile, overlap)[0] - whole[0]
                seam, beside = steps_over_borders(change, tile, overlap)
                worst, mean = float(change.abs().max()), float(change.abs().mean())
                steps = f"{seam:.2e} | {beside:.2e} | {seam / beside:.1f}"
                print(f"| {tile}, {overlap} | {mean:.2e} | {worst:.2e} | {steps} |", flush=True)


def row(size: tuple[int, int], tile: int, overlap: int, told: dict[str, float], steps: int) -> str:
    """Write one restoration down."""
    cut = f"{tile}, {overlap}" if tile else "whole"
    holds = "yes" if told["bytes"] < GOAL else "no"
    return (
        f"| {size[1]} x {size[0]} | {cut} | {told['bytes'] / 1e9:.2f} | {told['seconds'] / steps:.1f} | {holds} |"
    )


if __name__ == "__main__":
    main()
