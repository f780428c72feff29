"""What a guest finds around it: the environment variables that it keeps, and the files that it may reach."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import site
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from restorebench.contract.code import module_of
from restorebench.guest import confinement

OPT_OUT = "RESTOREBENCH_CONFINED"
"""An environment variable; `0` leaves guests their files and environment, which their rows then say."""

KEPT = (
    *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_*", "TZ", "TERM", "SHELL", "LD_LIBRARY_PATH", "VIRTUAL_ENV"),
    *("PYTHON*", "CONDA_PREFIX", "LD_PRELOAD", "TMPDIR", "CC", "CXX"),
    *("OMP_*", "MKL_*", "KMP_*", "GOMP_*", "OPENBLAS_*", "NUMEXPR_*", "VECLIB_*", "NPY_*"),
    *("ATEN_*", "ONEDNN_*", "DNNL_*"),
    *("TORCH*", "PYTORCH_*", "CUDA_*", "CUBLAS_*", "CUDNN_*", "NVIDIA_*", "NCCL_*", "ROCM_*", "HIP_*", "HSA_*"),
    *("ROCR_*", "GPU_DEVICE_ORDINAL", "TRITON_*"),
    *("HF_*", "HUGGINGFACE_*", "TRANSFORMERS_*", "TOKENIZERS_*", "DIFFUSERS_*", "XDG_*"),
    *("http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"),
    *("SSL_CERT_*", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "RESTOREBENCH_HOME", "RESTOREBENCH_OFFLINE", OPT_OUT),
)
"""Patterns of the environment variables that a guest keeps."""

_SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/opt", "/nix", "/etc", "/proc", "/sys"),
    *("/run/systemd/resolve", "/run/nvidia-persistenced"),
)
_NAMING = (
    *("LD_LIBRARY_PATH", "CUDA_HOME", "CUDA_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
)
_DEVICES = (
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/dri",
    "/dev/kfd",
    "/dev/dxg",
)
_GPUS = ("nvidia*", "nvmap", "nvhost*")


@dataclass(frozen=True)
class Reach:
    """The files and folders that a guest may read, list and write; `unconfined` says why there is no limit."""

    readable: tuple[Path, ...]
    listable: tuple[Path, ...]
    writable: tuple[Path, ...]
    unconfined: str = ""

    def enter(self) -> None:
        """Confine this process.

        Raises:
            OSError: the kernel refuses.
        """
        if not self.unconfined:
            confinement.confine(self.readable, self.writable, self.listable)
            confinement.drop_capabilities()


def opted_out() -> bool:
    """Tell whether the user wants guests that are not confined."""
    return os.environ.get(OPT_OUT, "") == "0"


def kept(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a guest keeps: all of them if the user has opted out."""
    if opted_out():
        return dict(environment)
    return {name: value for name, value in environment.items() if any(fnmatchcase(name, each) for each in KEPT)}


def reach(source: str, named: Iterable[str], cache: Path, scratch: Path, secret: Iterable[Path]) -> Reach:
    """Return what the guest of a method may reach: the system, packages, its weights and a scratch folder.

    source: as in `contract.catalog.Entry`. named: files and folders that the user names in its options. cache: the
    folder of weights. secret: the files and folders of the data and of the run. scikit-image's photographs are
    secret too.
    """
    if opted_out():
        return Reach((), (), (), f"{OPT_OUT} is 0")
    if why := confinement.available():
        return Reach((), (), (), why)
    never = [each.resolve() for each in photographs()]
    hidden = [each.resolve() for each in (*secret, *never) if each.exists()]
    given = [*map(Path, (*_SYSTEM, *_packages(), *named)), *_named_by_variables()]
    given += [cache / "weights", cache / "hub", cache / "weights.json"]
    given += [Path(source[5:])] if source.startswith("file:") else _modules(source)
    divided = []
    for path in dict.fromkeys(each.resolve() for each in given):
        # Packages, or the weights that an option names, may lie beside the images in a folder of data.
        beside = [each for each in hidden if each in never or path == each or not path.is_relative_to(each)]
        divided.append(confinement.without(path, beside))
        if path in hidden and path in map(_resolved, sys.path):
            divided.append((_importable(path), []))
    kept_files = [confinement.without(each.resolve(), hidden) for each in _download_folders()]
    readable = [path for covered, _ in divided for path in covered]
    listable = [path for _, folders in (*divided, *kept_files) for path in folders]
    writable = [path for covered, _ in kept_files for path in covered]
    writable += [*map(Path, _DEVICES), *(each for name in _GPUS for each in Path("/dev").glob(name)), scratch]
    return Reach(_sendable(readable), _sendable(listable), _sendable(writable))


def _sendable(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Leave out names of files that are no UTF-8, which no message can hold."""
    return tuple(path for path in paths if str(path) == str(path).encode("utf-8", "replace").decode())


def _resolved(entry: str) -> Path:
    return Path(entry).resolve()


def _importable(folder: Path) -> list[Path]:
    """Return what can be imported from a folder of data, such as a working folder on PYTHONPATH."""
    found = [*folder.glob("*.py"), *folder.glob("*.so"), *folder.glob("*.dist-info"), *folder.glob("*.egg-info")]
    return found + [each.parent for each in folder.glob("*/__init__.py")]


def _named_by_variables() -> list[Path]:
    """Return what kept variables name: libraries of a cluster, certificates; and the list of name servers."""
    values = [part for name in _NAMING for part in os.environ.get(name, "").split(os.pathsep)]
    return [*(Path(value) for value in values if value.startswith("/")), Path("/etc/resolv.conf").resolve()]


def photographs() -> list[Path]:
    """Return the folders of photographs that come with packages; the benchmark's own suites use them."""
    found = importlib.util.find_spec("skimage")
    folders = [] if found is None else [Path(each) for each in found.submodule_search_locations or ()]
    return [each / "data" for each in (*folders, Path("/usr/lib/python3/dist-packages/skimage"))]


def _packages() -> list[str]:
    """Return the folders of the interpreter and of everything that can be imported."""
    places = [sys.prefix, sys.base_prefix, sys.exec_prefix, *sysconfig.get_paths().values()]
    return [each for each in (*places, *sys.path, site.getusersitepackages()) if each]


def _modules(source: str) -> list[Path]:
    """Return the folders, or the file, of the module behind an entry point, which may lie in a checkout."""
    found = importlib.util.find_spec(module_of(source).partition(".")[0])
    if found is None:
        return []
    folders = [Path(each) for each in found.submodule_search_locations or ()]
    return folders or [Path(found.origin or "")]


def absolute_paths(value: Any) -> list[Path]:
    """Return the absolute paths in raw options."""
    if isinstance(value, str):
        return [Path(value)] if value.startswith("/") and len(value) < 4096 and Path(value).exists() else []
    if isinstance(value, Mapping):
        return [path for each in value.values() for path in absolute_paths(each)]
    return [path for each in value for path in absolute_paths(each)] if isinstance(value, list | tuple) else []


def _download_folders() -> list[Path]:
    """Return the folders in which the download functions of the hub, torch and triton keep files."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folders = [os.environ.get("HF_HOME") or cache / "huggingface", os.environ.get("TORCH_HOME") or cache / "torch"]
    for folder in map(Path, folders):
        with contextlib.suppress(OSError):  # a guest could not make it
            folder.mkdir(parents=True, exist_ok=True)
    folders.append(os.environ.get("TORCH_EXTENSIONS_DIR") or cache / "torch_extensions")
    folders.append(os.environ.get("TRITON_CACHE_DIR") or Path.home() / ".triton")
    folders += [os.environ.get(name, "") for name in ("HF_HUB_CACHE", "HF_XET_CACHE", "TRANSFORMERS_CACHE")]
    return [Path(each) for each in folders if each]
