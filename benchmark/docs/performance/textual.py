"""Time guided networks: `python benchmark/docs/performance/textual.py [speed] [memory]`.

Speed: matching and transfer alone, and whole networks, each with the loop over tiles of `plain_textual.py` and
with all tiles at once; in turns in one process, on photographs, each warmed up before.

Memory: each restorer through the worker, in a process of its own, with the greatest memory held.

Full-size networks with weights by rule. The guidance is a photograph of 512 px, as Stable Diffusion gives it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from daclip import timed
from large_image import photograph
from plain_textual import plain_transfer
from restorebench_textualdegrem import checkpoint, guidance, restorers
from restorebench_textualdegrem.matching import TILE, match
from restorebench_textualdegrem.nafnet import GuidedNAFNet
from restorebench_textualdegrem.options import GuidedRestoration
from restorebench_textualdegrem.promptir import GuidedPromptIR
from restorebench_textualdegrem.restormer import GuidedRestormer
from restorebench_textualdegrem.transfer import transfer
from torch import Tensor, nn
from turns import spread

from restorebench import TEN, Batch, Runtime
from restorebench.contract import catalog
from restorebench.toolbox.pointwise import Pointwise
from restorebench.worker import restoring

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # for tests.parity
from tests.parity.textualdegrem import by_rule

BUILT: dict[str, tuple[Callable[[], nn.Module], Callable[[str], nn.Module]]] = {
    "textual-restormer": (GuidedRestormer, checkpoint.restormer),
    "textual-nafnet": (GuidedNAFNet, checkpoint.nafnet),
    "textual-promptir": (GuidedPromptIR, checkpoint.promptir),
}
"""The full network and the tiny one, by card."""

LOADED = {
    "textual-restormer": restorers.TextualRestormer,
    "textual-nafnet": restorers.TextualNAFNet,
    "textual-promptir": restorers.TextualPromptIR,
}


@dataclass(frozen=True)
class Work:
    """One restoration in a process of its own. side, guidance: px, 0 for the image itself as guidance."""

    card: str
    side: int
    guidance: int
    precision: str
    device: str
    threads: int
    weights: str


def network_of(card: str, smoke: bool) -> Any:
    """Return a network by rule; a tiny one to try the script."""
    full, tiny = BUILT[card]
    if smoke:
        return tiny("untrained")
    with torch.device("meta"):
        made = full()
    network = made.to_empty(device="cpu")
    by_rule.fill(network)
    return network.requires_grad_(False)


def with_a_loop(work: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """Return the same work as published: with a loop over tiles, and torch's own convolutions."""

    def looped() -> Tensor:
        kept = guidance.match, guidance.transfer, Pointwise.forward
        # what `match` returns is handed on, so both images go through to the loop
        guidance.match = lambda *pair: pair  # type: ignore[assignment]  # that is the point
        guidance.transfer = lambda pair, levels, tiles: plain_transfer(pair[0], levels)  # type: ignore[assignment, index]  # too
        Pointwise.forward = nn.Conv2d.forward  # type: ignore[assignment, method-assign]  # as published
        try:
            return work()
        finally:
            guidance.match, guidance.transfer, Pointwise.forward = kept  # type: ignore[method-assign]  # as it was

    return looped


def works(card: str, given: argparse.Namespace) -> dict[str, Callable[[], Tensor]]:
    """Return what is timed by name: a loop first, then what is done here, in pairs."""
    network = network_of(card, given.smoke).to(given.device)
    image = photograph(given.side, given.side).to(given.device)
    second = photograph(given.guidance, given.guidance).flip(-1).to(given.device)
    multiple = TILE * network.masa_enc.downscale
    own = network.masa_enc(guidance.padded(image, multiple))[-1]
    theirs = network.masa_enc(guidance.padded(second, multiple))
    tiles = (own.shape[-2] // TILE, own.shape[-1] // TILE)

    def at_once() -> Tensor:
        return transfer(match(own, theirs[-1]), theirs, tiles)[0]

    def whole() -> Tensor:
        out: Tensor = network(image, second)
        return out

    return {
        "matching and transfer, a loop": lambda: plain_transfer(own, theirs)[0],
        "matching and transfer": at_once,
        "network, a loop": with_a_loop(whole),
        "network": whole,
    }


def speed(given: argparse.Namespace) -> None:
    """Time all rows in turns and print the table."""
    device = torch.device(given.device)
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{given.threads} threads"
    print(
        f"{where}, {given.side} px, guidance {given.guidance} px, {given.runs} turns, torch {torch.__version__}\n"
    )
    print(
        "| restorer | part | s: median (least to greatest) | ratio in the same turn | MiB | greatest difference |"
    )
    print("|---|---|---|---|---|---|")
    for card in given.cards:
        with torch.no_grad():
            rows = works(card, given)
        for work in rows.values():
            timed(work, device)
        turns = [{row: timed(work, device) for row, work in rows.items()} for _ in range(given.runs)]
        names = list(rows)
        for number, row in enumerate(names):
            loop = names[number - number % 2]
            seconds = [turn[row][0] for turn in turns]
            ratios = [turn[loop][0] / turn[row][0] for turn in turns]
            mib = statistics.median(turn[row][1] for turn in turns)
            apart = float((turns[0][row][2] - turns[0][loop][2]).abs().max())
            print(
                f"| {card} | {row} | {spread(seconds)} | {spread(ratios)} | {mib:.0f} | {apart:.1e} |", flush=True
            )


def carry_out(work: Work) -> None:
    """Restore in this process and print seconds and the peak in MiB."""
    torch.set_num_threads(work.threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False  # as in a worker
    card = catalog.discover().find("restorer", work.card)
    weights: Any = work.weights if work.weights == "untrained" else Path(work.weights)
    options = GuidedRestoration(weights=weights, precision=work.precision)  # type: ignore[arg-type]  # a choice
    runtime = Runtime(work.device, work.threads, Path(), {}, True, TEN, lambda kind, name: None)
    loaded = LOADED[work.card](options, runtime)
    if work.guidance:
        second = photograph(work.guidance, work.guidance).flip(-1).to(work.device)
        loaded._guide = lambda degraded, samples: [second]
    size = work.side, work.side
    batch = Batch(photograph(*size).to(work.device), (None,), (1,), size)
    restored = restoring.restore(loaded, card, batch)
    print(json.dumps({"seconds": restored.seconds, "mib": restored.peak_mib, "told": restored.fallback}))


def memory(given: argparse.Namespace) -> None:
    """Measure each restorer in a process of its own and print a table."""
    print(f"\n{given.device}, {given.precision}, {given.large} px, torch {torch.__version__}\n")
    print("| restorer | guidance | peak, GiB | s |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for card in given.cards:
            weights = "untrained"
            if not given.smoke:
                weights = f"{folder}/{card}.pth"
                torch.save(network_of(card, smoke=False).state_dict(), weights)
            for side in (0, given.guidance):
                work = Work(card, given.large, side, given.precision, given.device, given.threads, weights)
                command = [sys.executable, __file__, "--work", json.dumps(asdict(work))]
                answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
                told = json.loads(answer.splitlines()[-1])
                second = f"{side} px" if side else "the image itself"
                print(f"| {card} | {second} | {told['mib'] / 1024:.2f} | {told['seconds']:.1f} |", flush=True)


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="speed, memory; both by default")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--cards", nargs="+", default=list(BUILT), choices=list(BUILT))
    parser.add_argument("--side", type=int, default=256, help="of the image for speed, px")
    parser.add_argument("--guidance", type=int, default=512, help="of the guidance, px")
    parser.add_argument("--large", type=int, default=512, help="of the image for memory, px")
    parser.add_argument("--runs", type=int, default=5, help="turns for speed")
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16", "fp16"), help="for memory")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--smoke", action="store_true", help="tiny networks, to try the script")
    given = parser.parse_args()
    if given.work:
        carry_out(Work(**json.loads(given.work)))
        return
    known = {"speed": speed, "memory": memory}
    if strange := [part for part in given.parts if part not in known]:
        parser.error(f"no part called {strange[0]!r}; there are {', '.join(known)}")
    torch.set_num_threads(given.threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False  # as in a worker
    for part in given.parts or known:
        known[part](given)


if __name__ == "__main__":
    main()
