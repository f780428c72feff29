"""Memory that a worker and its guest share, in which pixels travel."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

_CLOSE_ON_EXEC, _ALLOW_SEALING = 1, 2  # linux/memfd.h
_ADD_SEALS, _SEAL, _SHRINK, _GROW = 1033, 1, 2, 4  # linux/fcntl.h
_ALIGNED = 64
_FLOAT_BYTES = 4
_LEAST_BYTES = 1 << 20


class Arena:
    """A file in memory whose size cannot change: a guest that shrank it would end the worker at its next read."""

    def __init__(self, descriptor: int, size: int) -> None:
        """Map a file. descriptor: stays open until `close`."""
        self.descriptor = descriptor
        self.size = size
        self._memory = mmap.mmap(descriptor, size)

    @classmethod
    def make(cls, least: int) -> Arena:
        """Make an arena of at least so many bytes, a power of two."""
        size = max(_LEAST_BYTES, 1 << (least - 1).bit_length())
        libc = ctypes.CDLL(
            None, use_errno=True
        )  # a Python that was built for older systems has no function for it
        descriptor = int(libc.memfd_create(b"restorebench", _CLOSE_ON_EXEC | _ALLOW_SEALING))
        if descriptor < 0:
            raise OSError(ctypes.get_errno(), "memfd_create is refused")
        os.ftruncate(descriptor, size)
        fcntl.fcntl(descriptor, _ADD_SEALS, _SEAL | _SHRINK | _GROW)
        return cls(descriptor, size)

    def tensor(self, offset: int, shape: Sequence[int]) -> Tensor:
        """Return a float32 tensor over a part of the memory, which the other process can change at any time."""
        return torch.frombuffer(self._memory, dtype=torch.float32, count=prod(shape), offset=offset).view(*shape)

    def close(self) -> None:
        """Close the file; the memory is released with the last tensor over it."""
        os.close(self.descriptor)


def laid_out(shapes: Sequence[Sequence[int]]) -> tuple[list[int], int]:
    """Return the offset in bytes of each float32 tensor, one after the other, and the size of all."""
    offsets, end = [], 0
    for shape in shapes:
        offsets.append(end)
        end += -(-prod(shape) * _FLOAT_BYTES // _ALIGNED) * _ALIGNED
    return offsets, end
