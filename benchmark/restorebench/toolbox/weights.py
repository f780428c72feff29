"""Weights: published files are downloaded once and checked, read without running code, and loaded strictly."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from restorebench.contract.errors import MissingResource, RestorebenchError, WeightsMismatch
from restorebench.toolbox.files import atomic_write_text, file_digest
from restorebench.toolbox.foreign import first_sentence, require_plain, trouble

if TYPE_CHECKING:
    from torch import Tensor, nn

    from restorebench.contract.values import Runtime, WeightFile

LOCK = "weights.json"
"""File in the cache folder with the sha256 of every published file, recorded at its first use."""

_HUB = re.compile(r"https://huggingface\.co/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")

_DELETE_IT = "delete it, and digests are recorded again at the next use"


def fetch(file: WeightFile, runtime: Runtime) -> Path:
    """Return a published file, downloaded to the cache if it is not there yet, with its sha256 checked.

    Raises:
        MissingResource: it is not in the cache and cannot be downloaded; the message says how to put it there.
        WeightsMismatch: its sha256 differs from the one on the card, or from the one at first use.
    """
    path = _downloaded(file, runtime)
    _check(file, path, runtime.cache / LOCK)
    return path


def fetch_folder(files: Sequence[WeightFile], runtime: Runtime) -> Path:
    """Return the folder of published files; all are named `FOLDER/path/in/it`, with the same FOLDER.

    Raises:
        MissingResource: as in `fetch`; or some files were downloaded and others put there by hand.
        WeightsMismatch: as in `fetch`.
    """
    folders = dict.fromkeys(fetch(file, runtime).parents[file.name.count("/") - 1] for file in files)
    if len(folders) > 1:
        first, second = list(folders)[:2]
        name = files[0].name.partition("/")[0]
        by_hand = runtime.cache / "weights" / name
        raise MissingResource(
            f"{name}: one part is in {first}, one in {second}; put all of it in {by_hand}, or remove that folder"
        )
    return next(iter(folders))


def present(file: WeightFile, cache: Path) -> bool:
    """Tell whether a published file is in the cache folder; nothing is downloaded or checked."""
    return bool(cached(file, cache))


def cached(file: WeightFile, cache: Path) -> tuple[Path, ...]:
    """Return the path of a published file in the cache folder, and of the file needed to find it there again.

    Empty if it is not in the cache. Nothing is downloaded or checked.
    """
    by_hand = cache / "weights" / file.name
    if by_hand.is_file():
        return (by_hand,)
    match = _HUB.fullmatch(file.url)
    if match is None:
        return ()
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(match["repo"], match["file"], cache / "hub", match["revision"])
    if not isinstance(found, str):
        return ()
    named = cache / "hub" / f"models--{match['repo'].replace('/', '--')}" / "refs" / match["revision"]
    return (Path(found), named) if named.is_file() else (Path(found),)


def repository(file: WeightFile) -> str:
    """Return the address of the repository that a file is downloaded from; "" if users put it there by hand."""
    match = _HUB.fullmatch(file.url)
    return "" if match is None else f"https://huggingface.co/{match['repo']}"


def _downloaded(file: WeightFile, runtime: Runtime) -> Path:
    by_hand = runtime.cache / "weights" / file.name
    if by_hand.is_file():
        return by_hand
    match = _HUB.fullmatch(file.url)
    if match is None:
        raise MissingResource(f"{file.name}: put {file.url} ({file.licence}) at {by_hand}")
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(
            hf_hub_download(
                match["repo"],
                match["file"],
                revision=match["revision"],
                cache_dir=runtime.cache / "hub",
                local_files_only=runtime.offline,
            )
        )
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        why = "offline" if runtime.offline else first_sentence(error)
        size = f", {file.bytes / 1e6:.0f} MB" if file.bytes else ""
        raise MissingResource(
            f"{file.name} is not in {runtime.cache} and cannot be downloaded ({why}); get {file.url} "
            f"(licence {file.licence}{size}) and put it at {by_hand}, or name a file in the options"
        ) from error


def _check(file: WeightFile, path: Path, lock: Path) -> None:
    """Compare a file's sha256 with the one on its card, or else with the one recorded at its first use."""
    actual = file_digest(path)
    known = _recorded(lock)
    expected = file.sha256 or known.get(file.url, "")
    if expected and actual != expected:
        source = "its card says" if file.sha256 else f"{lock} recorded at first use"
        raise WeightsMismatch(
            f"{path}: sha256 {actual}, but {source} {expected}; delete the file to download it again"
        )
    if known.get(file.url) == actual:
        return  # without writing, so that a complete cache may be read-only
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock.with_suffix(".lock")):
            record = {**_recorded(lock), file.url: actual}
            atomic_write_text(lock, json.dumps(record, indent=1, sort_keys=True) + "\n")
    except OSError as error:
        raise MissingResource(
            f"{lock}: digests cannot be recorded ({error.strerror or error}); make the cache folder writable, or "
            "set RESTOREBENCH_HOME to another folder"
        ) from error


def _recorded(lock: Path) -> dict[str, str]:
    """Read the digests of earlier uses by address; empty if there is no such file yet."""
    try:
        known = json.loads(lock.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise RestorebenchError(f"{lock}: unreadable ({first_sentence(error)}); {_DELETE_IT}") from error
    if not isinstance(known, dict) or not all(isinstance(digest, str) for digest in known.values()):
        raise RestorebenchError(f"{lock}: holds no digests by address; {_DELETE_IT}")
    return known


def read(path: Path) -> dict[str, Tensor]:
    """Read named tensors from a .safetensors file or a torch checkpoint, on the CPU, without running its code.

    A checkpoint may hold them under `state_dict` or `params`. If all names begin with `module.`, it is removed.

    Raises:
        MissingResource: there is no such file.
        RestorebenchError: the file may not be read, is truncated, holds code, or holds no tensors.
    """
    import torch
    from safetensors.torch import load_file

    require_plain(path)
    try:
        if path.suffix == ".safetensors":
            held: Any = load_file(path)
        else:
            held = torch.load(path, map_location="cpu", weights_only=True)
    # A broken pickle may raise any builtin error, such as KeyError or AttributeError.
    except Exception as error:
        raise RestorebenchError(f"weights {path}: {trouble(path, error)}") from error
    return unwrapped(held, path)


def unwrapped(held: object, path: Path) -> dict[str, Tensor]:
    """Return the named tensors of a loaded checkpoint.

    Raises:
        RestorebenchError: it holds no named tensors, or one that is not a plain tensor on the CPU.
    """
    from torch import Tensor

    for key in ("state_dict", "params"):
        if isinstance(held, Mapping) and isinstance(held.get(key), Mapping):
            held = held[key]
    if not isinstance(held, Mapping) or not held or not all(isinstance(value, Tensor) for value in held.values()):
        raise RestorebenchError(f"weights {path}: holds no named tensors")
    for name, value in held.items():
        if str(value.layout) != "torch.strided" or value.is_quantized:
            raise RestorebenchError(f"weights {path}: {name} is sparse or quantised; store it as a plain tensor")
        if value.device.type != "cpu" or value.nbytes > value.untyped_storage().nbytes():
            raise RestorebenchError(f"weights {path}: {name} claims more numbers than the file holds")
    prefix = "module." if all(str(name).startswith("module.") for name in held) else ""
    return {str(name).removeprefix(prefix): value for name, value in held.items()}


def shipped(path: Path) -> Path:
    """Return the path of weights that come with a package, after checking that the file is there.

    Raises:
        MissingResource: it is not there.
    """
    if not path.is_file():
        raise MissingResource(f"weights {path}: came with the package but are missing; install it again")
    return path


def notes(weights: object) -> Mapping[str, Any]:
    """Return the plain values that a file keeps under `notes` beside its tensors; empty if weights is not a path.

    In a .safetensors file they are JSON in its metadata. A broken file also gives an empty result, as `read`
    reports what is wrong with it.
    """
    import torch
    from safetensors import safe_open

    if not isinstance(weights, Path):
        return {}
    try:
        require_plain(weights)
        if weights.suffix == ".safetensors":
            with safe_open(weights, "pt") as opened:
                found: Any = json.loads((opened.metadata() or {}).get("notes", "{}"))
        else:
            held = torch.load(weights, map_location="cpu", weights_only=True, mmap=True)
            found = held.get("notes", {})
    except Exception:
        return {}
    return found if isinstance(found, Mapping) else {}


def load(module: nn.Module, state: Mapping[str, Tensor], path: Path, hint: str = "") -> None:
    """Load named tensors into a module; all names and shapes must match, and all numbers must be finite.

    A floating-point tensor may have any floating-point type; for other tensors a floating-point type is refused.
    hint: advice that the message gives if names or shapes differ.

    Raises:
        RestorebenchError: names, shapes or types differ, or a number is not finite; the message names the first.
    """
    own = module.state_dict()
    missing, unexpected = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    shapes = [
        f"{name} is {list(state[name].shape)}, not {list(own[name].shape)}"
        for name in own.keys() & state.keys()
        if own[name].shape != state[name].shape
    ]
    problems = [
        f"{len(names)} {what} ({', '.join(names[:2])}{', ...' if len(names) > 2 else ''})"
        for what, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", sorted(shapes)))
        if names
    ]
    if problems:
        if hint:
            problems.append(hint)
        raise RestorebenchError(f"weights {path} do not fit {type(module).__name__}: {'; '.join(problems)}")
    for name, tensor in state.items():
        if tensor.is_floating_point() != own[name].is_floating_point() or tensor.is_complex():
            raise RestorebenchError(f"weights {path}: {name} is {_type(tensor)}, not {_type(own[name])}")
        if not _finite(tensor):
            raise RestorebenchError(f"weights {path}: {name} holds NaN or infinity; its training went wrong")
    module.load_state_dict(dict(state), strict=True)


def _finite(tensor: Tensor) -> bool:
    """Tell whether all numbers are finite, in a tenth of a second per GB: with a NaN, the extremes are NaN."""
    import torch

    if tensor.numel() == 0 or not tensor.is_floating_point():
        return True
    # torch computes no extremes of one-byte types.
    least, largest = torch.aminmax(tensor.float() if tensor.element_size() == 1 else tensor)
    return bool(torch.isfinite(least) and torch.isfinite(largest))


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
