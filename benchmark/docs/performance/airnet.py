"""Time `airnet`: `python benchmark/docs/performance/airnet.py`.

The whole module with torchvision's deformable convolution, as published, against the restorer, and what lies
between them; in turns in one process, on a photograph, each warmed up before. Full-size weights by rule, whose
places reach up to 2.4 px in every layer.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from daclip import timed
from large_image import filled_airnet, photograph
from restorebench_airnet import deformable
from restorebench_airnet.options import AirNetRestoration
from restorebench_airnet.restorers import AirNetRestorer
from torch import Tensor
from turns import spread

from restorebench import TEN, Batch, Runtime


def restorer(weights: str, precision: str, device: str, threads: int) -> AirNetRestorer:
    """Load the restorer as a worker does."""
    options = AirNetRestoration(weights=Path(weights), precision=precision)  # type: ignore[arg-type]  # a choice
    return AirNetRestorer(options, Runtime(device, threads, Path(), {}, True, TEN, lambda kind, name: None))


def works(given: argparse.Namespace, weights: str) -> dict[str, Callable[[], Tensor]]:
    """Return what is timed by name, the published first: () -> restored image."""
    size = (given.side, given.side)
    image = photograph(*size).to(given.device)
    batch = Batch(image, (None,), (1,), size)

    def whole(operator: deformable.Operator) -> Callable[[], Tensor]:
        network = filled_airnet(given.smoke).to(given.device)
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
        torch.save(filled_airnet(given.smoke).state_dict(), weights)
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


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=128, help="of the image, px")
    parser.add_argument("--runs", type=int, default=5, help="turns")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--smoke", action="store_true", help="tiny networks, to try the script")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False  # as in a worker
    speed(given)


if __name__ == "__main__":
    main()
