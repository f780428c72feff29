"""Images that are given as arrays: checked, converted to images, and results converted back to the same kind."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from restorebench.contract.errors import RestorebenchError
from restorebench.toolbox.images import MAX_PIXELS, as_rgb

if TYPE_CHECKING:
    import numpy as np

    from restorebench.contract.values import Image

    Array = np.ndarray[Any, np.dtype[Any]]

EXPECTED = "a path, a numpy array, a list of numpy arrays, or a torch tensor (N, 3, H, W)"
_DTYPES = ("uint8", "uint16", "float32")


def is_path(source: object) -> bool:
    """Tell whether images are given as the path of a file or a folder."""
    return isinstance(source, str | os.PathLike)


class Pixels:
    """Images that are given as one numpy array, a list (or tuple) of them, or a torch tensor.

    A numpy array is (H, W, 3) RGB or (H, W) grey: uint8, uint16, or float32 in [0, 1]. A list holds arrays of one
    dtype, of any sizes. A tensor is (N, 3, H, W) float32 RGB in [0, 1] on any device. Nothing that is given is
    changed.
    """

    def __init__(self, source: object) -> None:
        """Check everything, before anything is computed.

        Raises:
            RestorebenchError: in one line, which item is wrong, what it is and what is expected.
        """
        self._given = source
        self._arrays: list[Array]
        if _is_tensor(source):
            self._arrays = _of_tensor(source)
        elif isinstance(source, list | tuple):
            self._arrays = [_array(self.name(number), item) for number, item in enumerate(source)]
            _require_one_dtype(self._arrays)
        else:
            self._arrays = [_array(self.name(0), source)]
        if not self._arrays:
            what = "the tensor" if _is_tensor(source) else "the list"
            raise RestorebenchError(f"{what} is empty; give at least one image")
        for number, array in enumerate(self._arrays):
            _require_pixels(self.name(number), array)

    def __len__(self) -> int:
        return len(self._arrays)

    def name(self, number: int) -> str:
        """Return what messages call an item."""
        return (
            f"item {number}" if isinstance(self._given, list | tuple) or _is_tensor(self._given) else "the image"
        )

    def images(self) -> Iterator[Image]:
        """Yield each as (H, W, 3) float32 RGB in [0, 1], as `images.read` gives a PNG file of the same pixels."""
        import numpy as np

        for array in self._arrays:
            if array.dtype.kind == "u":
                yield as_rgb(array)
            else:
                yield np.array(array if array.ndim == 3 else np.stack([array] * 3, axis=2), np.float32, order="C")

    def like(self, results: Sequence[Image]) -> Any:
        """Return images as the kind that was given: an array of the same dtype, a list of them, or a tensor.

        results: one (H, W, 3) for each item, in order. Values are clipped to [0, 1], and rounded as in a file if
        the dtype is of whole numbers. Results are RGB, also those of grey arrays.
        """
        if _is_tensor(self._given):
            return _to_tensor(results, self._given)
        found = [_as(result, array.dtype.name) for result, array in zip(results, self._arrays, strict=True)]
        return found if isinstance(self._given, list | tuple) else found[0]


def _is_tensor(source: object) -> bool:
    """Tell whether something is a torch tensor; only then is torch imported already."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(source, torch.Tensor)


def _of_tensor(tensor: Any) -> list[Array]:
    """Split a tensor (N, 3, H, W) into arrays (H, W, 3) that share its memory if it is on the CPU."""
    if str(tensor.dtype) != "torch.float32":
        raise RestorebenchError(f"the tensor is {tensor.dtype}; expected torch.float32 in [0, 1]")
    shape = tuple(tensor.shape)
    if tensor.is_sparse or len(shape) != 4 or shape[1] != 3 or not (shape[2] and shape[3]):
        hint = "; give tensor[None]" if len(shape) == 3 and shape[0] == 3 else ""
        kind = "sparse, " if tensor.is_sparse else ""
        raise RestorebenchError(f"the tensor is {kind}{shape}; expected a dense one (N, 3, H, W), RGB{hint}")
    return list(tensor.detach().permute(0, 2, 3, 1).cpu().numpy())


def _to_tensor(results: Sequence[Image], given: Any) -> Any:
    import torch

    from restorebench.toolbox.images import to_tensor

    return to_tensor(results).clamp(0, 1).to(device=given.device, dtype=torch.float32)


def _array(name: str, item: object) -> Array:
    """Return an item as the numpy array that it is.

    Raises:
        RestorebenchError: it is none, or not of an allowed dtype and shape.
    """
    import numpy as np

    if is_path(item) or _is_tensor(item):
        kind = "a path" if is_path(item) else "a torch tensor"
        alone = "the path of a file or folder alone" if is_path(item) else "one tensor (N, 3, H, W) alone"
        raise RestorebenchError(f"{name} is {kind}; a list holds numpy arrays only, so give {alone}")
    if not isinstance(item, np.ndarray):
        kind = f"{type(item).__module__}.{type(item).__qualname__}".removeprefix("builtins.")
        hint = "; numpy.asarray(image.convert('RGB')) makes an array" if kind.startswith("PIL.") else ""
        raise RestorebenchError(f"{name} is of type {kind}; expected {EXPECTED}{hint}")
    if isinstance(item, np.ma.MaskedArray):
        raise RestorebenchError(f"{name} is a masked array; fill it first, as in array.filled(0)")
    dtype = item.dtype.name
    if dtype not in _DTYPES:
        hint = "; array.astype('float32') converts it" if item.dtype.kind == "f" else ""
        raise RestorebenchError(f"{name} is {dtype}; expected uint8, uint16, or float32 in [0, 1]{hint}")
    if item.ndim not in (2, 3) or item.shape[2:] not in ((), (3,)) or 0 in item.shape:
        raise RestorebenchError(
            f"{name} has the shape {item.shape}; expected (H, W, 3) or (H, W){_hint(item.shape)}"
        )
    return item


def _hint(shape: tuple[int, ...]) -> str:
    """Say how an array of another usual shape becomes an image."""
    if len(shape) == 4:
        return "; list(array) makes a list of a batch"
    if len(shape) == 3 and shape[2] == 4:
        return "; array[:, :, :3] leaves out an alpha channel"
    if len(shape) == 3 and shape[2] == 1:
        return "; array[:, :, 0] is the grey image"
    if len(shape) == 3 and shape[0] == 3:
        return "; array.transpose(1, 2, 0) puts the channels last"
    return ""


def _require_one_dtype(arrays: Sequence[Array]) -> None:
    """Refuse a list of several kinds, where one may have been scaled and another not."""
    names = [array.dtype.name for array in arrays]
    for number, name in enumerate(names):
        if name != names[0]:
            raise RestorebenchError(f"item {number} is {name} and item 0 is {names[0]}; give one dtype in a list")


def _require_pixels(name: str, array: Array) -> None:
    """Refuse too many pixels, and floats that are no values in [0, 1]."""
    import numpy as np

    height, width = array.shape[:2]
    if height * width > MAX_PIXELS:
        most = MAX_PIXELS // 10**6
        raise RestorebenchError(
            f"{name} is {height} x {width}, more than {most} million pixels; crop or tile it first"
        )
    if array.dtype.kind != "f":
        return
    least, greatest = array.min(), array.max()
    if least >= 0 and greatest <= 1:  # neither holds if there is a NaN
        return
    finite = np.isfinite(array)
    if not finite.all():
        row, column = map(int, np.argwhere(~finite)[0][:2])
        value = float(array[row, column][~finite[row, column]].flat[0])
        raise RestorebenchError(f"{name} has {value} in row {row}, column {column}; expected numbers in [0, 1]")
    hint = "; divide by 255, or give uint8" if least >= 0 and 2 < greatest <= 255 else "; scale or clip it first"
    raise RestorebenchError(f"{name} has values from {least!s} to {greatest!s}; expected [0, 1]{hint}")


def _as(image: Image, dtype: str) -> Array:
    import numpy as np

    clipped = np.clip(image, 0, 1)
    if dtype == "float32":
        return clipped
    return np.rint(clipped * np.iinfo(dtype).max).astype(dtype)
