"""Take the tensors out of a checkpoint that holds other objects too: `convert IN OUT.safetensors`.

Published Stable Diffusions are pickles of a training library's objects, whose unpickling may run code. Here every
class that is not part of a tensor becomes a dummy that ignores what it is given, so that nothing of it runs.
"""

from __future__ import annotations

import argparse
import pickle
import sys
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import torch
from torch import Tensor

from restorebench import RestorebenchError
from restorebench.toolbox import foreign, weights
from restorebench.toolbox.files import replaced


class _Dummy:
    """Stands for any object: made of anything, given anything, and doing nothing."""

    def __init__(self, *given: object, **named: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...

    def __setitem__(self, key: object, value: object) -> None: ...

    def __call__(self, *given: object, **named: object) -> _Dummy:
        return self

    def append(self, value: object) -> None:
        """Ignore it."""

    def extend(self, values: object) -> None:
        """Ignore them."""

    def add(self, value: object) -> None:
        """Ignore it."""


_KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("torch", "Size"): torch.Size,
    ("torch.serialization", "_get_layout"): torch.serialization._get_layout,
}
"""All that a tensor's pickle needs beside storages, which torch knows by itself."""


class _Unpickler(pickle.Unpickler):
    """Finds no class but those of tensors."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what tensors need, and a dummy for everything else."""
        if module == "torch" and (name.endswith("Storage") or isinstance(getattr(torch, name, None), torch.dtype)):
            return getattr(torch, name)
        return _KNOWN.get((module, name), _Dummy)


def _refuse(*given: object, **named: object) -> NoReturn:
    raise pickle.UnpicklingError("not by our unpickler")


def tensors(path: Path) -> dict[str, Tensor]:
    """Read named tensors from any checkpoint of torch, without running what else it holds.

    Raises:
        MissingResource: there is no such file.
        RestorebenchError: it is broken, or holds no tensors.
    """
    foreign.require_plain(path)
    if path.suffix == ".safetensors":
        return weights.read(path)
    if not foreign.begins(path, foreign.ARCHIVE):
        # Torch reads older files by other means than our unpickler, and unpacks what is in them.
        no_archive = ValueError("it is no archive, as torch writes them")
        old = "a file of torch before 1.6; save it anew with torch"
        why = old if foreign.begins(path, foreign.OLD) else foreign.trouble(path, no_archive)
        raise RestorebenchError(f"weights {path}: {why}")
    safe = SimpleNamespace(Unpickler=_Unpickler, load=_refuse, __name__="safe")
    try:
        held = torch.load(path, map_location="cpu", pickle_module=safe, weights_only=False)
    except Exception as error:  # a broken pickle makes any of the builtin ones
        raise RestorebenchError(f"weights {path}: {foreign.trouble(path, error)}") from error
    return weights.unwrapped(held, path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Convert one file; return 2 where that fails."""
    parser = argparse.ArgumentParser(prog="python -m restorebench_diffbir.convert", description=__doc__)
    parser.add_argument("source", type=Path, metavar="IN", help="a checkpoint of torch")
    parser.add_argument("target", type=Path, metavar="OUT", help="a new .safetensors file")
    given = parser.parse_args(arguments)
    try:
        if given.target.suffix != ".safetensors":
            raise RestorebenchError(f"{given.target}: what is written is a .safetensors file; name it so")
        if given.target.exists():
            raise RestorebenchError(f"{given.target}: is there already; name another file")
        if not given.target.parent.is_dir():
            raise RestorebenchError(f"{given.target.parent}: no such folder; make it, or name another file")
        found = tensors(given.source)
        write(given.target, found)
    except RestorebenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{given.target}: {len(found)} tensors")
    return 0


def write(path: Path, state: dict[str, Tensor]) -> None:
    """Write tensors to a new file; it appears whole or not at all.

    Raises:
        RestorebenchError: it cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    # each on its own, for safetensors takes no two views of one memory
    own = {name: value.detach().clone().contiguous() for name, value in state.items()}
    try:
        with replaced(path) as temporary:
            save_file(own, temporary)
    except (OSError, SafetensorError) as error:  # the latter where the library itself could not write
        raise RestorebenchError(f"{path}: cannot be written ({error}); make room, or name another file") from error


if __name__ == "__main__":
    sys.exit(main())
