"""`unpaired`: images without a ground truth, for any task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from restorebench import DataRequest, Sample, SampleInfo
from restorebench.toolbox import images
from restorebench_datasets.options import Unpaired
from restorebench_datasets.samples import digest, list_images


class UnpairedImages:
    """Images read from disk; item i depends on its file only."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> Sample:
        return Sample(images.read(self._files[index]), None)


def load(options: Unpaired, request: DataRequest) -> UnpairedImages:
    """List the files; pixels are read when an item is asked for."""
    return UnpairedImages(list(_files(options).values()))


def index(options: Unpaired, request: DataRequest) -> list[SampleInfo]:
    """List the images from headers and bytes, the same for every task; each is a scene of its own."""
    return [
        SampleInfo(name, *images.read_size(path), digest(file=images.file_digest(path)), name, "published")
        for name, path in _files(options).items()
    ]


def _files(options: Unpaired) -> dict[str, Path]:
    """Map ids to files. A file that is named is taken whatever its suffix; `read` judges its content."""
    return {options.path.stem: options.path} if options.path.is_file() else list_images(options.path)
