"""Extraction of the tensors from a checkpoint that also holds other objects: `convert IN OUT.safetensors`.

Published Stable Diffusion files are pickles of a training library's objects; unpickling them may run code. Here
every class that is not part of a tensor is replaced by a dummy that ignores its arguments, so none of that code
runs.
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
from restorebench.toolbox.counts import counted
from restorebench.toolbox.files import replaced


class _Dummy:
    """A replacement for any object: it accepts any arguments and does nothing."""

    def __init__(self, *given: object, **named: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...

    def __setitem__(self, key: object, value: object) -> None: ...

    def __call__(self, *given: object, **named: object) -> _Dummy:
        return self

    def append(self, value: object) -> None:
        """Ignore the value."""

    def extend(self, values: object) -> None:
        """Ignore the values."""

    def add(self, value: object) -> None:
        """Ignore the value."""


_KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("torch", "Size"): torch.Size,
    ("torch.serialization", "_get_layout"): torch.serialization._get_layout,
}
"""Everything that the pickle of a tensor refers to, except storages and types, which torch itself has."""


class _Unpickler(pickle.Unpickler):
    """An unpickler that finds only the classes of tensors."""

    def find_class(self, module: str, name: str) -> Any:
        """Return a class that tensors need, or a dummy for any other class."""
        if module == "torch" and (name.endswith("Storage") or isinstance(getattr(torch, name, None), torch.dtype)):
            return getattr(torch, name)
        return _KNOWN.get((module, name), _Dummy)


def _refuse(*given: object, **named: object) -> NoReturn:
    raise pickle.UnpicklingError("only our own unpickler may read this file")


def tensors(path: Path) -> dict[str, Tensor]:
    """Read named tensors from any torch checkpoint, without running code from it.

    Raises:
        MissingResource: there is no such file.
        RestorebenchError: it is broken, or holds no tensors.
    """
    foreign.require_plain(path)
    if path.suffix == ".safetensors":
        return weights.read(path)
    if not foreign.begins(path, foreign.ARCHIVE):
        # For older files torch does not use our unpickler, and it unpacks their contents.
        no_archive = ValueError("it is not an archive as torch writes it")
        old = "a file of torch before 1.6; save it again with a newer torch"
        why = old if foreign.begins(path, foreign.OLD) else foreign.trouble(path, no_archive)
        raise RestorebenchError(f"weights {path}: {why}")
    safe = SimpleNamespace(Unpickler=_Unpickler, load=_refuse, __name__="safe")
    try:
        held = torch.load(path, map_location="cpu", pickle_module=safe, weights_only=False)
    except Exception as error:  # a broken pickle may raise any builtin exception
        raise RestorebenchError(f"weights {path}: {foreign.trouble(path, error)}") from error
    return weights.unwrapped(held, path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Convert one file; return 0, or 2 if that fails."""
    parser = argparse.ArgumentParser(prog="python -m restorebench_diffbir.convert", description=__doc__)
    parser.add_argument("source", type=Path, metavar="IN", help="a torch checkpoint")
    parser.add_argument("target", type=Path, metavar="OUT", help="a new .safetensors file")
    given = parser.parse_args(arguments)
    try:
        if given.target.suffix != ".safetensors":
            raise RestorebenchError(f"{given.target}: the output is a .safetensors file; give it this suffix")
        if given.target.exists():
            raise RestorebenchError(f"{given.target}: exists already; name another file")
        if not given.target.parent.is_dir():
            raise RestorebenchError(f"{given.target.parent}: no such folder; create it, or name another file")
        found = tensors(given.source)
        write(given.target, found)
    except RestorebenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{given.target}: {counted(len(found), 'tensor')}")
    return 0


def write(path: Path, state: dict[str, Tensor]) -> None:
    """Write tensors to a new file, completely or not at all.

    Raises:
        RestorebenchError: the file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    # safetensors refuses tensors that share memory
    own = {name: value.detach().clone().contiguous() for name, value in state.items()}
    try:
        with replaced(path) as temporary:
            save_file(own, temporary)
    except (OSError, SafetensorError) as error:  # the latter if the library itself fails to write
        raise RestorebenchError(
            f"{path}: cannot be written ({error}); free disk space, or name another file"
        ) from error


if __name__ == "__main__":
    sys.exit(main())
