"""Older processors: what makes this one compute as one without its newest instructions does.

The last bits of sums differ from one set of instructions to another. A method that chooses between candidates,
such as blur kernels, may then choose another one, and its score moves by a tenth of a decibel.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module


def older() -> tuple[Mapping[str, str], ...]:
    """Return environment variables for the instructions of two older processors, the newer one of them first.

    They are those of torch, oneDNN, OpenBLAS and numpy. numpy takes the names of what it must not use.
    """
    dispatched = _dispatched()
    without_avx512 = [name for name in dispatched if "512" in name or name == "X86_V4"]
    with_avx2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "OPENBLAS_CORETYPE": "Haswell"}
    plain = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "OPENBLAS_CORETYPE": "Nehalem"}
    return tuple(
        {**others, "NPY_DISABLE_CPU_FEATURES": " ".join(names)} if names else others
        for others, names in ((with_avx2, without_avx512), (plain, dispatched))
    )


def _dispatched() -> list[str]:
    """Return the instructions that numpy uses here beyond those it needs; none if this numpy does not tell."""
    for name in ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath"):
        try:
            numpy = import_module(name)
            return [feature for feature in numpy.__cpu_dispatch__ if numpy.__cpu_features__.get(feature)]
        except (ImportError, AttributeError):
            continue
    return []
