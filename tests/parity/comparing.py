"""Comparison of a method with arrays that its published code computed."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor, nn

Arrays = Mapping[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class Row:
    """One comparison. error: the greatest absolute difference, less the part allowed relative to the value."""

    subject: str
    error: float
    allowed: float

    @property
    def holds(self) -> bool:
        """True if the error is at most `allowed`; False for NaN."""
        return self.error <= self.allowed


@dataclass(frozen=True)
class Fixtures:
    """A folder of arrays (.npz) and facts (.json)."""

    folder: Path

    def arrays(self, name: str) -> Arrays:
        """Read one file of arrays."""
        with np.load(self.folder / f"{name}.npz", allow_pickle=False) as stored:
            return dict(stored)

    def facts(self, name: str) -> dict[str, Any]:
        """Read one file of facts."""
        found: dict[str, Any] = json.loads((self.folder / f"{name}.json").read_text())
        return found


def hold_to_manifest(network: nn.Module, manifest: Mapping[str, Mapping[str, Any]], name: str) -> None:
    """Compare the names and shapes of a network's tensors with a manifest, {name: {"shape": ...}}.

    Raises:
        ValueError: some names or shapes differ.
    """
    ours = {key: list(value.shape) for key, value in network.state_dict().items()}
    theirs = {key: value["shape"] for key, value in manifest.items()}
    if ours != theirs:
        odd = sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key))
        raise ValueError(f"{name}: {len(odd)} keys differ from the manifest: {', '.join(odd[:4])}")


def tensor(array: np.ndarray[Any, Any]) -> Tensor:
    """Turn a stored array into a tensor."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(array))


def distance(ours: Tensor, theirs: np.ndarray[Any, Any], relative: float = 0.0) -> float:
    """Return the greatest absolute difference, less `relative` times the published value; at least 0."""
    stored = tensor(theirs)
    return float(((ours.detach() - stored).abs() - relative * stored.abs()).clamp(min=0).max())


def command(
    method: str,
    subjects: Iterable[str],
    compare: Callable[[str, Any], Iterable[Row]],
    arguments: Sequence[str] | None = None,
    fixtures: type[Fixtures] = Fixtures,
) -> int:
    """Print a row per comparison of the subjects that the command line names; return the exit code.

    The code is 1 if an error is larger than allowed, else 0. If a package is not installed, print an error of one
    line and return 2.

    compare: (subject, fixtures of a folder) -> the subject's rows.
    """
    program = f"python -m tests.parity.{method}"
    description = f"Print how far {method} is from its published code."
    known = list(subjects)
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument("folder", type=Path, help="arrays of the published code (.npz) and facts (.json)")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"subjects, all by default: {', '.join(known)}")
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.names if name not in known]:
        parser.error(f"no subject called {unknown[0]!r}; there are {', '.join(known)}")
    if not given.folder.is_dir():
        parser.error(f"{given.folder}: no such folder")
    failed = 0
    print("| subject | greatest error | allowed | |\n|---|---|---|---|")
    for name in given.names or known:
        try:
            for row in compare(name, fixtures(given.folder)):
                failed += not row.holds
                verdict = "" if row.holds else "TOO FAR"
                print(f"| {row.subject} | {row.error:.1e} | {row.allowed:.0e} | {verdict} |", flush=True)
        except ModuleNotFoundError as error:
            why = f"{name} needs {error.name}, which is not installed"
            print(f"error: {why}; install the plugin's extra, or name other subjects", file=sys.stderr)
            return 2
    return 1 if failed else 0
