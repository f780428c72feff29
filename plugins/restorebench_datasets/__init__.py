"""Datasets: pairs in folders, clean photographs degraded on the fly, and images without a ground truth."""

from __future__ import annotations

from restorebench import DatasetInfo, hookimpl


def _dataset(name: str, summary: str, module: str, options: str, credits: str | None = None) -> DatasetInfo:
    return DatasetInfo(
        name=name,
        version="1",
        summary=summary,
        options=f"restorebench_datasets.options:{options}",
        index=f"restorebench_datasets.{module}:index",
        load=f"restorebench_datasets.{module}:load",
        credits=credits,
    )


@hookimpl
def restorebench_datasets() -> list[DatasetInfo]:
    """Offer the three sources of images."""
    return [
        _dataset("paired-folder", "Degraded and clean images in two folders per task", "paired", "Paired"),
        _dataset(
            "synthetic",
            "Clean photographs, degraded here from a seed",
            "synthetic",
            "Synthetic",
            credits="restorebench_datasets.options:credits_of_photographs",
        ),
        _dataset("unpaired", "Images without a ground truth", "unpaired", "Unpaired"),
    ]
