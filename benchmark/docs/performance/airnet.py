"""Time `airnet`, and restore large images in tiles: `python benchmark/docs/performance/airnet.py [speed] [large]`.

Speed: the whole module with torchvision's deformable convolution, as published, against the restorer, and what
lies between them; in turns in one process, on a photograph, each warmed up before.

Large: through the worker as a suite does, each row in a process of its own, with the greatest memory held; then,
on an image that is restored whole too, what tiling changes: PSNR between both (peak 1), and the mean step of the
change from one side of a tile's border to the other and beside the borders: equal where there is no seam.

Full-size weights by rule, whose places reach up to 2.4 px in every layer and whose outputs span six times the
range of images: what a trained network does at borders may differ.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from daclip import timed
from large_image import photograph, steps_over_borders
from restorebench_airnet import checkpoint, deformable
from restorebench_airnet.network import AirNet
from restorebench_airnet.options import AirNetRestoration
from restorebench_airnet.parity import by_rule
from restorebench_airnet.restorers import AirNetRestorer
from torch import Tensor

from restorebench import TEN, Batch, Runtime, catalog
from restorebench.toolbox import rule_weights
from restorebench.worker import restoring

GOAL = 4.0e9  # bytes


@dataclass(frozen=True)
class Work:
    """One restoration. tile, overlap: px, 0 for the whole image."""

    height: int
    width: int
    tile: int
    overlap: int
    precision: str
    device: str
    threads: int
    weights: str
    out: str


def filled(smoke: bool) -> AirNet:
    """Return the whole network by rule; a tiny one to try the script."""
    if not smoke:
        return by_rule.whole()
    network = AirNet(checkpoint.TINY)
    rule_weights.fill(network, gain=by_rule.gain)
    return network


def restorer(weights: str, precision: str, device: str, threads: int) -> AirNetRestorer:
    """Load the restorer as a worker does."""
    options = AirNetRestoration(weights=Path(weights), precision=precision)  # type: ignore[arg-type]  # a choice
    return AirNetRestorer(options, Runtime(device, threads, Path(), {}, True, TEN, lambda kind, name: None))


# ---------------------------------------------------------------- speed


def works(given: argparse.Namespace, weights: str) -> dict[str, Callable[[], Tensor]]:
    """Return what is timed by name, the published first: () -> restored image."""
    size = (given.side, given.side)
    image = photograph(*size).to(given.device)
    batch = Batch(image, (None,), (1,), size)

    def whole(operator: deformable.Operator) -> Callable[[], Tensor]:
        network = filled(given.smoke).to(given.device)
        deformable.use(network, operator)
        return lambda: network.restore(image)

    def ours(precision: str, operator: deformable.Operator | None = None) -> Callable[[], Tensor]:
        loaded = restorer(weights, precision, given.device, given.threads)
        if operator is not None:
            deformable.use(loaded.network, operator)
        return lambda: loaded.restore(batch)

    return {
        "whole module, torchvision's operator, fp32": whole(deformable.by_torchvision),
        "whole module, gathering, fp32": whole(deformable.by_gathering),
        "restorer, torchvision's operator, fp32": ours("fp32", deformable.by_torchvision),
        "restorer, fp32": ours("fp32"),
        "restorer, bf16": ours("bf16"),
    }


def speed(given: argparse.Namespace) -> None:
    """Time all rows in turns and print the table."""
    device = torch.device(given.device)
    with tempfile.TemporaryDirectory() as name:
        weights = f"{name}/weights.pth"
        torch.save(filled(given.smoke).state_dict(), weights)
        rows = works(given, weights)
    for work in rows.values():
        timed(work, device)
    turns = [{row: timed(work, device) for row, work in rows.items()} for _ in range(given.runs)]
    first, *_ = rows
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{given.threads} threads"
    print(f"{where}, {given.side} px, {given.runs} turns, torch {torch.__version__}\n")
    print("| configuration | s: median (least to greatest) | ratio in the same turn | greatest difference |")
    print("|---|---|---|---|")
    for row in rows:
        seconds = [turn[row][0] for turn in turns]
        ratios = [turn[first][0] / turn[row][0] for turn in turns]
        apart = float((turns[0][row][2] - turns[0][first][2]).abs().max())
        print(f"| {row} | {spread(seconds)} | {spread(ratios)} | {apart:.1e} |", flush=True)


def spread(values: list[float]) -> str:
    """Write median, least and greatest."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


# ---------------------------------------------------------------- large images


def carry_out(work: Work) -> None:
    """Restore in this process; keep the image and print seconds and the peak in bytes."""
    torch.set_num_threads(work.threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False  # as in a worker
    card = catalog.discover().find("restorer", "airnet")
    size = work.height, work.width
    batch = Batch(photograph(*size).to(work.device), (None,), (1,), size)
    loaded = restorer(work.weights, work.precision, work.device, work.threads)
    restored = restoring.restore(loaded, card, batch, work.tile or None, work.overlap)
    torch.save(restored.images.cpu(), work.out)
    assert restored.peak_mib is not None  # Linux tells
    print(json.dumps({"seconds": restored.seconds, "bytes": restored.peak_mib * 2**20, "told": restored.fallback}))


def measured(work: Work) -> tuple[Tensor, dict[str, float]]:
    """Restore in a process of its own; return the image and what it printed."""
    command = [sys.executable, __file__, "--work", json.dumps(asdict(work))]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    told: dict[str, float] = json.loads(answer.splitlines()[-1])
    return torch.load(work.out), told


def large(given: argparse.Namespace) -> None:
    """Measure each tile and print two tables."""
    with tempfile.TemporaryDirectory() as name:
        weights = f"{name}/weights.pth"
        torch.save(filled(given.smoke).state_dict(), weights)

        def run(size: tuple[int, int], tile: int, overlap: int) -> tuple[Tensor, dict[str, float]]:
            how = (given.precision, given.device, given.threads)
            return measured(Work(*size, tile, overlap, *how, weights, f"{name}/restored.pt"))

        print(f"\n{given.device}, {given.precision}, torch {torch.__version__}\n")
        print("| image, px | tile, overlap | peak, GB | s | below the goal |\n|---|---|---|---|---|")
        whole, told = run(given.whole, 0, 0)
        print(row(given.whole, 0, 0, told), flush=True)
        kept: dict[tuple[int, int], Tensor] = {}
        for tile in given.tile:
            image, told = run(given.size, tile, given.overlap)
            if tuple(given.size) == tuple(given.whole):
                kept[tile, given.overlap] = image
            print(row(given.size, tile, given.overlap, told), flush=True)
        print(f"\n{given.whole[1]} x {given.whole[0]} px, tiled against whole\n")
        print("| tile, overlap | PSNR, dB | mean difference | greatest | step over borders | beside | ratio |")
        print("|---|---|---|---|---|---|---|")
        for tile in [each for each in given.tile if 0 < each < max(given.whole)]:
            for overlap in [each for each in given.overlaps if each < tile]:
                image = kept[tile, overlap] if (tile, overlap) in kept else run(given.whole, tile, overlap)[0]
                change = image - whole
                error = float(change.double().square().mean())
                psnr = -10 * math.log10(error) if error else math.inf
                seam, beside = steps_over_borders(change, tile, overlap)
                size = f"{float(change.abs().mean()):.1e} | {float(change.abs().max()):.1e}"
                ratio = f"{seam / beside:.2f}" if beside else "none"
                print(
                    f"| {tile}, {overlap} | {psnr:.1f} | {size} | {seam:.1e} | {beside:.1e} | {ratio} |",
                    flush=True,
                )


def row(size: tuple[int, int], tile: int, overlap: int, told: dict[str, float]) -> str:
    """Write one restoration down."""
    cut = f"{tile}, {overlap}" if tile else "whole"
    holds = "yes" if told["bytes"] < GOAL else "no"
    return f"| {size[1]} x {size[0]} | {cut} | {told['bytes'] / 1e9:.2f} | {told['seconds']:.1f} | {holds} |"


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="speed, large; both by default")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--side", type=int, default=128, help="of the image for speed, px")
    parser.add_argument("--runs", type=int, default=5, help="turns for speed")
    parser.add_argument("--size", type=int, nargs=2, default=(1080, 1920), help="of the large image, px")
    parser.add_argument("--tile", type=int, nargs="+", default=[512, 256], help="px")
    parser.add_argument("--overlap", type=int, default=32, help="px that tiles share, 32 as in a suite")
    parser.add_argument("--whole", type=int, nargs=2, default=(512, 768), help="of the image for seams, px")
    parser.add_argument("--overlaps", type=int, nargs="+", default=[0, 32, 64], help="for seams, px")
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16", "fp16"), help="of large images")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--smoke", action="store_true", help="tiny networks, to try the script")
    given = parser.parse_args()
    if given.work:
        carry_out(Work(**json.loads(given.work)))
        return
    known = {"speed": speed, "large": large}
    if strange := [part for part in given.parts if part not in known]:
        parser.error(f"no part called {strange[0]!r}; there are {', '.join(known)}")
    torch.set_num_threads(given.threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False  # as in a worker
    for part in given.parts or known:
        known[part](given)


if __name__ == "__main__":
    main()
