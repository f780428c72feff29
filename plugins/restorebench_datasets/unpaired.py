"""`unpaired`: images without a ground truth, for any task but `clean`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from restorebench import CLEAN, DataRequest, Sample, SampleInfo, UnreadableImage
from restorebench.toolbox import images
from restorebench.toolbox.images import SUFFIXES
from restorebench.toolbox.remembered import file_digest
from restorebench_datasets.options import Unpaired
from restorebench_datasets.samples import digest, named_images, readable, sizes

if TYPE_CHECKING:
    from restorebench import Image

ARRAYS = (".npy",)


class UnpairedImages:
    """Images read from disk; item i depends only on its file."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> Sample:
        return Sample(images.read(self._files[index]), None)


class UnpairedArrays(UnpairedImages):
    """Images read from `.npy` files, which hold what `images.read` would return."""

    def __getitem__(self, index: int) -> Sample:
        import numpy as np

        path = self._files[index]
        image: Image = np.ascontiguousarray(_array(path), dtype=np.float32)  # in this machine's byte order
        if not (image.min() >= 0 and image.max() <= 1):  # also if it has NaN
            raise UnreadableImage(f"{path}: has values that are not in [0, 1]; scale or clip them first")
        return Sample(image, None)


@readable()
def load(options: Unpaired, request: DataRequest) -> UnpairedImages:
    """List the files; pixels are read when an item is asked for."""
    kind = UnpairedArrays if options.arrays else UnpairedImages
    return kind(list(_files(options, request).values()))


@readable()
def index(options: Unpaired, request: DataRequest) -> list[SampleInfo]:
    """List the images from headers and bytes, the same for every task; each image is its own scene.

    The task `clean` has none, as an image without a ground truth may have degradations.
    """
    files = _files(options, request)
    found = files.values()
    known = {path: _array(path).shape[:2] for path in found} if options.arrays else sizes(found)
    return [
        SampleInfo(name, *known[path], digest(file=file_digest(path)), name, "published")
        for name, path in files.items()
    ]


def _files(options: Unpaired, request: DataRequest) -> dict[str, Path]:
    files = named_images(options.path, ARRAYS if options.arrays else SUFFIXES)
    return {} if request.task == CLEAN else files


def _array(path: Path) -> Image:
    """Map a `.npy` file into memory, without reading its values.

    Raises:
        UnreadableImage: it is damaged, or its array is no (H, W, 3) float32.
    """
    import numpy as np

    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise UnreadableImage(f"{path}: is no whole .npy file of numbers; save it anew with numpy.save") from error
    if not isinstance(array, np.ndarray) or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise UnreadableImage(f"{path}: has the shape {np.shape(array)}; expected (H, W, 3)")
    if array.dtype.name != "float32":
        raise UnreadableImage(f"{path}: is {array.dtype.name}; expected float32 in [0, 1]")
    return array
