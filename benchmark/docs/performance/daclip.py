"""Time `daclip-irsde` against a plain loop: `python benchmark/docs/performance/daclip.py [--device cuda]`.

The plain loop restores one image at a time in fp32 as the published script does, see `plain_daclip.py`. All
configurations take turns in one process, on full-size U-Nets with weights by rule and the data head, from the
same noise; each is warmed up before. Images per second are for all 100 steps (10 evaluations for the solver):
with fewer `--steps` they are extrapolated, for an evaluation costs the same at every step. TFLOP/s count the plain
network's operations (two per multiplication) for every configuration; the matrix rate is measured beside.

`--compile default reduce-overhead` adds rows per mode of torch.compile; the latter captures CUDA graphs. What
fails while it is warmed up is said in its row's place. Memory: on the CPU what the process held beyond what it
held before, plus the network's weights; on a GPU the same of what torch allocated, without captured graphs.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace

import torch
from plain_daclip import filled, made_plain
from restorebench_daclip import checkpoint, samplers, sde
from restorebench_daclip.options import Sampling
from restorebench_daclip.samplers import Predictor
from restorebench_daclip.sampling import DTYPES, Sampler, bind_unet
from restorebench_daclip.unet import UNIVERSAL, UNet
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from restorebench import Batch
from restorebench.guest import memory
from restorebench.toolbox.seeding import normal

STEPS, EVALUATIONS = 100, 10  # of the published sampler and of the solver
MATRIX_SIDE = {"cpu": 2048, "cuda": 8192}
MODES = ("default", "reduce-overhead", "max-autotune-no-cudagraphs")


@dataclass(frozen=True)
class Configuration:
    """One row. compiled: a mode of torch.compile, or none."""

    name: str
    steps: int
    plain: bool = False
    precision: str = "fp32"
    batch: int = 1
    compiled: str = ""
    sampler: str = "posterior"

    @property
    def full(self) -> int:
        """Evaluations of a whole restoration."""
        return STEPS if self.sampler == "posterior" else EVALUATIONS


@dataclass(frozen=True)
class Inputs:
    """Degraded images (N, 3, S, S) and contexts (N, D) on the device."""

    degraded: Tensor
    image: Tensor
    degradation: Tensor

    def first(self, count: int) -> Inputs:
        """Return so many of them."""
        return Inputs(self.degraded[:count], self.image[:count], self.degradation[:count])


def configurations(given: argparse.Namespace) -> list[Configuration]:
    """List the rows."""
    one = Configuration("ours", given.steps)
    plain = replace(one, name="plain loop", plain=True)
    rows = [plain, one, replace(one, precision="bf16"), replace(one, precision="bf16", batch=given.batch)]
    rows += [replace(one, steps=steps) for steps in given.also_steps]
    modes = given.compile
    rows += [replace(one, compiled=mode) for mode in modes]
    rows += [replace(one, precision="bf16", batch=count, compiled=m) for m in modes for count in {1, given.batch}]
    solver = replace(one, sampler="multistep-ode", steps=min(EVALUATIONS, given.steps), precision="bf16")
    rows += [replace(solver, batch=given.batch, compiled=mode) for mode in ("", *modes)]
    return list(dict.fromkeys(rows))


def prepared(row: Configuration, unet: UNet, inputs: Inputs) -> Callable[[], Tensor]:
    """Return the work of a row, whose network is its own: () -> restored images (B, 3, S, S)."""
    given = inputs.first(row.batch)
    device = given.degraded.device.type
    size = (given.degraded.shape[-2], given.degraded.shape[-1])
    batch = Batch(given.degraded, (None,) * row.batch, tuple(range(1, row.batch + 1)), size)
    if row.plain:
        made_plain(unet)
        table = sde.schedule(steps=row.steps, trained_steps=STEPS).to(given.degraded.device)

        def network(state: Tensor, step: float) -> Tensor:
            conditioning = unet.condition(given.image, given.degradation)
            now = torch.tensor([step], device=device)
            out: Tensor = unet(state, given.degraded, now, conditioning)
            return out

        # drawn before the clock: the published script takes torch's own noise, which costs next to nothing
        drawn = {step: normal(batch.keys, 0, step, (3, *size), device=device) for step in range(1, row.steps + 2)}
        predictor = Predictor(network, given.degraded, table, "data")
        return lambda: samplers.last(samplers.posterior(predictor, drawn.__getitem__))
    unet.to(memory_format=torch.channels_last)
    if (dtype := DTYPES.get(row.precision)) is not None:
        unet.lower(dtype)
    if row.compiled:
        unet.compile(mode=row.compiled)
    options = Sampling.model_validate(
        {"steps": row.steps, "sampler": row.sampler, "precision": row.precision, "prediction": "data"}
    )
    sampler = Sampler(options, device)

    def ours() -> Tensor:
        conditioning = unet.condition(given.image, given.degradation)
        return sampler(bind_unet(unet, given.degraded, sampler.times, conditioning), batch)

    return ours


def timed(work: Callable[[], Tensor], device: torch.device) -> tuple[float, float, Tensor]:
    """Return the seconds of a call, the MiB it took beyond what was held before, and its result."""
    synchronise(device)
    cuda = device.type == "cuda"
    held = torch.cuda.memory_allocated(device) / 2**20 if cuda else memory.resident_mib()
    known = memory.reset_peak(device)
    began = time.perf_counter()
    with torch.no_grad():
        result = work()
    synchronise(device)
    seconds = time.perf_counter() - began
    peak = memory.peak_mib(device) if known else None
    return seconds, float("nan") if peak is None else peak - held, result


def synchronise(device: torch.device) -> None:
    """Wait for a GPU's work, so that a clock sees it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matrix_rate(device: torch.device, dtype: torch.dtype, side: int) -> float:
    """Return the operations per second of a large matrix product: the best of five after one."""
    factors = torch.randn(2, side, side, device=device).to(dtype)
    best = min(timed(lambda: factors[0] @ factors[1], device)[0] for _ in range(6))
    return 2 * side**3 / best


def operations(unet: UNet, inputs: Inputs) -> int:
    """Count the floating-point operations of one evaluation of the plain network on one image."""
    one, plain = inputs.first(1), made_plain(deepcopy(unet))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        conditioning = plain.condition(one.image, one.degradation)
        plain(one.degraded, one.degraded, one.degraded.new_ones(1), conditioning)
    return int(counter.get_total_flops())


def parsed() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--steps", type=int, help="evaluations that are timed; 5 on the CPU, 100 on a GPU")
    parser.add_argument("--also-steps", type=int, nargs="*", default=[], help="for one more row of ours each")
    parser.add_argument("--batch", type=int, help="images at a time; 2 on the CPU, 16 on a GPU")
    parser.add_argument("--side", type=int, default=256, help="px")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", nargs="*", default=[], choices=MODES, help="modes of torch.compile")
    parser.add_argument("--tf32", action="store_true", help="let fp32 products keep 10 bits; a suite does not")
    parser.add_argument("--smoke", action="store_true", help="tiny networks, to try the script")
    given = parser.parse_args()
    given.steps = given.steps or (5 if given.device == "cpu" else STEPS)
    given.batch = given.batch or (2 if given.device == "cpu" else 16)
    return given


def print_table(
    given: argparse.Namespace,
    measured: dict[Configuration, list[tuple[float, float, torch.Tensor]]],
    flops: float,
    rates: dict[str, float],
    weights: float,
) -> None:
    """Print what was measured. flops: of an evaluation; rates: FLOP/s of matrix products; weights: MiB."""
    device = torch.device(given.device)
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{given.threads} threads"
    print(f"{where}, {given.side} px, TF32 {'on' if given.tf32 else 'off'}, torch {torch.__version__}")
    print(f"{flops / 2e9:.1f} GMAC per evaluation; median of {given.runs} (least to greatest)")
    print("matrix rate: " + ", ".join(f"{name} {rate / 1e12:.3g} TFLOP/s" for name, rate in rates.items()) + "\n")
    print(
        "| configuration | ms per evaluation and image | images/s | ratio to plain | peak, MiB | TFLOP/s | of the "
        "matrix rate | difference: greatest, mean |\n|---|---|---|---|---|---|---|---|"
    )
    plain = next(iter(measured))
    expected = measured[plain][0][2]
    base = statistics.median(seconds for seconds, _, _ in measured[plain]) / plain.steps * plain.full
    for row, turns in measured.items():
        share = [seconds / row.steps / row.batch for seconds, _, _ in turns]
        median = statistics.median(share)
        held = max(peak for _, peak, _ in turns) + weights / (2 if row.precision != "fp32" else 1)
        rate = flops / median
        apart = "another sampler or number of steps"
        if (row.sampler, row.steps) == (plain.sampler, plain.steps):
            change = (turns[0][2][:1] - expected).abs()
            apart = f"{float(change.max()):.1e}, {float(change.mean()):.1e}"
        print(
            f"| {title(row)} | {median * 1e3:.4g} ({min(share) * 1e3:.4g} to {max(share) * 1e3:.4g}) "
            f"| {1 / (median * row.full):.3g} | {base / (median * row.full):.2f} | {held:.0f} | {rate / 1e12:.3g} "
            f"| {rate / rates[row.precision]:.0%} | {apart} |"
        )


def main() -> None:
    """Time all rows in turns and print the table."""
    given = parsed()
    device = torch.device(given.device)
    torch.set_num_threads(given.threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = given.tf32
    torch.manual_seed(0)
    config = checkpoint.TINY_UNET if given.smoke else UNIVERSAL
    unet = filled(config).to(device)
    drawn = torch.rand(given.batch, 3, given.side, given.side), *torch.randn(2, given.batch, config.context or 0)
    inputs = Inputs(*(each.to(device) for each in drawn))
    flops = operations(unet, inputs)  # first, so that nothing is timed for a table that cannot be printed
    works, failed = {}, {}
    for row in configurations(given):
        work = prepared(row, deepcopy(unet), inputs)
        try:
            seconds, _, _ = timed(work, device)
            works[row] = work
            print(f"warmed up in {seconds:.1f} s: {title(row)}", file=sys.stderr, flush=True)
        except (RuntimeError, AssertionError) as error:  # one row of a long table on a rare machine
            failed[row] = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
    measured = {row: [timed(work, device)] for row, work in works.items()}
    for _ in range(given.runs - 1):
        for row, work in works.items():
            measured[row].append(timed(work, device))
    side = 256 if given.smoke else MATRIX_SIDE[device.type]
    used = [("fp32", torch.float32), ("bf16", torch.bfloat16)]
    rates = {name: matrix_rate(device, kind, side) for name, kind in used}
    weights = sum(each.nbytes for each in unet.parameters()) / 2**20
    print_table(given, measured, flops, rates, weights)
    for row, reason in failed.items():
        print(f"| {title(row)} | failed: {reason} ||||||||")


def title(row: Configuration) -> str:
    """Say what a row is."""
    extrapolated = "" if row.steps == row.full else f", from {row.steps}"
    compiled = f", compiled ({row.compiled})" if row.compiled else ""
    return f"{row.name}, {row.precision}, batch {row.batch}{compiled}, {row.sampler} of {row.full}{extrapolated}"


if __name__ == "__main__":
    main()
