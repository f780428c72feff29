"""Restore a large image in tiles: `python benchmark/docs/performance/large_image.py RESTORER [--tile N ...]`.

Restores through the worker as a suite does, each configuration in a process of its own. Prints the greatest
memory held and, on an image that fits whole too, what tiling changes and whether its seams show: PSNR between both
(peak 1), and the mean step of the change from one side of a tile's border to the other, and beside the borders.
Where the two are equal there is no seam.

RESTORER is any with weights that are here, with `--option key=value`. `daclip-irsde` and `airnet` are taken at
full size with weights by rule, in place of published ones: memory does not depend on weights, but what a trained
network does at borders may differ. The diffusion U-Net's output is scaled down, so that states stay images.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
import yaml
from restorebench_airnet import checkpoint as airnet_checkpoint
from restorebench_airnet.network import AirNet
from restorebench_daclip import checkpoint as daclip_checkpoint
from restorebench_daclip.controller import Controller
from restorebench_daclip.unet import UNIVERSAL, UNet
from torch import Tensor

from restorebench import TEN, Batch, RestorerInfo, Runtime
from restorebench.contract import catalog
from restorebench.contract.cards import resolve
from restorebench.toolbox import tiling
from restorebench.toolbox.options import validated_options
from restorebench.toolbox.photographs import embedded
from restorebench.toolbox.places import cache_folder
from restorebench.worker import restoring

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # for tests.parity
from tests.parity import rule_weights
from tests.parity.airnet import by_rule
from tests.parity.daclip.fixtures import fill

NEAR = 16  # px
OUTPUT = 0.1  # share of what the filled U-Net gives
VIT_B_32 = {
    "embed_dim": 512,
    "vision_cfg": {"image_size": 224, "layers": 12, "width": 768, "patch_size": 32},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 512, "heads": 8, "layers": 12},
}


@dataclass(frozen=True)
class Work:
    """One restoration. tile, overlap: px, 0 for the whole image."""

    restorer: str
    options: dict[str, Any]
    height: int
    width: int
    tile: int
    overlap: int
    device: str
    threads: int
    out: str


# ---------------------------------------------------------------- weights by rule


def daclip(folder: Path, smoke: bool) -> dict[str, Any]:
    """Write both halves; tiny ones to try the script."""
    unet = UNet(daclip_checkpoint.TINY_UNET if smoke else UNIVERSAL)
    controller = Controller.of(daclip_checkpoint.TINY_CONTROLLER if smoke else VIT_B_32)
    for network in (unet, controller):
        fill(network)
    with torch.no_grad():
        unet.final_conv.weight.mul_(OUTPUT)
        unet.final_conv.bias.mul_(OUTPUT)  # type: ignore[union-attr]  # the layer has a bias
    paths = {"weights": str(folder / "unet.pth"), "controller": str(folder / "controller.pth")}
    torch.save(unet.state_dict(), paths["weights"])
    torch.save(controller.state_dict(), paths["controller"])
    return {**paths, "sampler": "multistep-ode", "steps": 2, "prediction": "data"}


def filled_airnet(smoke: bool) -> AirNet:
    """Return the whole network; a tiny one to try the script."""
    network = AirNet(airnet_checkpoint.TINY if smoke else None)
    rule_weights.fill(network, gain=by_rule.gain)
    return network


def airnet(folder: Path, smoke: bool) -> dict[str, Any]:
    """Write the network."""
    path = str(folder / "airnet.pth")
    torch.save(filled_airnet(smoke).state_dict(), path)
    return {"weights": path}


FILLED: Mapping[str, Callable[[Path, bool], dict[str, Any]]] = {"daclip-irsde": daclip, "airnet": airnet}


# ---------------------------------------------------------------- restoring


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
    runtime = Runtime(work.device, work.threads, cache_folder(), {}, True, TEN, lambda kind, name: None)
    card = catalog.discover().find("restorer", work.restorer)
    assert isinstance(card, RestorerInfo)  # as it was asked for
    restorer = resolve(card.load)(validated_options(card, work.options), runtime)
    size = work.height, work.width
    batch = Batch(photograph(*size).to(work.device), (None,), (1,), size)
    restored = restoring.restore(restorer, card, batch, work.tile or None, work.overlap)
    torch.save(restored.images.cpu(), work.out)
    assert restored.peak_mib is not None  # Linux tells
    print(json.dumps({"seconds": restored.seconds, "bytes": restored.peak_mib * 2**20}))


def measured(work: Work) -> tuple[Tensor, dict[str, float]]:
    """Restore in a process of its own; return the image and what it printed."""
    command = [sys.executable, __file__, work.restorer, "--work", json.dumps(asdict(work))]
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("restorer")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help="of the restorer")
    parser.add_argument("--size", type=int, nargs=2, default=(1080, 1920), help="height and width, px")
    parser.add_argument("--tile", type=int, nargs="+", default=[512, 256], help="px; 0 restores it whole")
    parser.add_argument("--overlap", type=int, default=32, help="px that tiles share, 32 as in a suite")
    parser.add_argument("--whole", type=int, nargs=2, default=(512, 768), help="of the image for seams, px")
    parser.add_argument("--overlaps", type=int, nargs="+", default=[0, 32, 64], help="for seams, px")
    parser.add_argument("--goal", type=float, default=4.0, help="GB")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--smoke", action="store_true", help="tiny networks in place of full-size ones")
    given = parser.parse_args()
    if given.work:
        carry_out(Work(**json.loads(given.work)))
        return
    with tempfile.TemporaryDirectory() as name:
        fill_in = FILLED.get(given.restorer)
        options = fill_in(Path(name), given.smoke) if fill_in is not None else {}
        options |= {key: yaml.safe_load(value) for key, _, value in (each.partition("=") for each in given.option)}
        report(given, options, f"{name}/restored.pt")


def report(given: argparse.Namespace, options: dict[str, Any], out: str) -> None:
    """Restore the large image at each size of tiles, then the smaller one whole and in tiles."""

    def run(size: tuple[int, int], tile: int, overlap: int) -> tuple[Tensor, dict[str, float]]:
        where = (given.device, given.threads, out)
        return measured(Work(given.restorer, options, *size, tile, overlap, *where))

    def row(size: tuple[int, int], tile: int, told: dict[str, float]) -> None:
        cut = f"{tile}, {given.overlap}" if tile else "whole"
        holds = "yes" if told["bytes"] < given.goal * 1e9 else "no"
        seconds = f"{told['seconds']:.1f}"
        print(f"| {size[1]} x {size[0]} | {cut} | {told['bytes'] / 1e9:.2f} | {seconds} | {holds} |", flush=True)

    told = {key: value for key, value in options.items() if not str(value).startswith("/")}
    print(f"{given.restorer} {told or ''}, {given.device}, {given.threads} threads, torch {torch.__version__}")
    print(f"the goal is a peak below {given.goal:g} GB\n")
    print("| image, px | tile, overlap | peak, GB | s | holds |\n|---|---|---|---|---|")
    whole, cost = run(given.whole, 0, 0)
    row(given.whole, 0, cost)
    for tile in given.tile:
        row(given.size, tile, run(given.size, tile, given.overlap)[1])
    print(f"\n{given.whole[1]} x {given.whole[0]} px, tiled against whole\n")
    print("| tile, overlap | PSNR, dB | mean difference | greatest | step over borders | beside | ratio |")
    print("|---|---|---|---|---|---|---|")
    for tile in [each for each in given.tile if 0 < each < max(given.whole)]:
        for overlap in [each for each in given.overlaps if each < tile]:
            change = run(given.whole, tile, overlap)[0] - whole
            error = float(change.double().square().mean())
            psnr = -10 * math.log10(error) if error else math.inf
            seam, beside = steps_over_borders(change, tile, overlap)
            size = f"{float(change.abs().mean()):.1e} | {float(change.abs().max()):.1e}"
            ratio = f"{seam / beside:.1f}" if beside else "none"
            steps = f"{seam:.1e} | {beside:.1e}"
            print(f"| {tile}, {overlap} | {psnr:.1f} | {size} | {steps} | {ratio} |", flush=True)


if __name__ == "__main__":
    main()
