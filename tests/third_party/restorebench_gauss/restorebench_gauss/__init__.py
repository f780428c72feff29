"""`gauss`: a Gaussian blur, which takes away noise and detail alike."""

from __future__ import annotations

from restorebench import RestorerInfo, hookimpl


@hookimpl
def restorebench_restorers() -> list[RestorerInfo]:
    """Offer the blur."""
    return [
        RestorerInfo(
            name="gauss",
            version="1",
            summary="Gaussian blur: takes away noise and detail alike.",
            load="restorebench_gauss.restorer:Gauss",
            options="restorebench_gauss.options:Options",
            licence="MIT",
        )
    ]
