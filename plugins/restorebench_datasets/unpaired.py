"""`unpaired`: images without a ground truth, for any task but `clean`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from restorebench import CLEAN, DataRequest, Sample, SampleInfo
from restorebench.toolbox import images
from restorebench.toolbox.remembered import file_digest
from restorebench_datasets.options import Unpaired
from restorebench_datasets.samples import digest, named_images, readable, sizes


class UnpairedImages:
    """Images read from disk; item i depends only on its file."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> Sample:
        return Sample(images.read(self._files[index]), None)


@readable()
def load(options: Unpaired, request: DataRequest) -> UnpairedImages:
    """List the files; pixels are read when an item is asked for."""
    return UnpairedImages(list(_files(options, request).values()))


@readable()
def index(options: Unpaired, request: DataRequest) -> list[SampleInfo]:
    """List the images from headers and bytes, the same for every task; each image is its own scene.

    The task `clean` has none, as an image without a ground truth may have degradations.
    """
    files = _files(options, request)
    known = sizes(files.values())
    return [
        SampleInfo(name, *known[path], digest(file=file_digest(path)), name, "published")
        for name, path in files.items()
    ]


def _files(options: Unpaired, request: DataRequest) -> dict[str, Path]:
    files = named_images(options.path)
    return {} if request.task == CLEAN else files
