"""The trained steps that a sampler visits, as plain numbers, so that options can be checked without torch."""

from __future__ import annotations

TRAINED_STEPS = 1000


def spaced_steps(count: int) -> tuple[int, ...]:
    """Return the trained steps that spaced DDPM visits, the cleanest first."""
    if count == 1:
        return (0,)
    return tuple(sorted({round(index * (TRAINED_STEPS - 1) / (count - 1)) for index in range(count)}))


def ddim_steps(count: int) -> tuple[int, ...]:
    """Return the trained steps of DDIM, the cleanest first; more than `count` if it does not divide 1000.

    Raises:
        ValueError: this number of steps leads beyond the schedule; the published code fails on it too.
    """
    steps = tuple(step + 1 for step in range(0, TRAINED_STEPS, TRAINED_STEPS // count))
    if steps[-1] >= TRAINED_STEPS:
        raise ValueError(f"DDIM with {count} steps would leave the schedule of {TRAINED_STEPS}; try 20, 50 or 100")
    return steps


def sigma_steps(count: int) -> tuple[int, ...]:
    """Return the trained steps of the solvers in sigma, the noisiest first, with a final 0."""
    last = TRAINED_STEPS - 1
    return (*(int(last + index * (-last / count)) for index in range(count)), 0)
