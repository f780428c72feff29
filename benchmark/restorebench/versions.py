"""Which versions of the packages that numbers depend on are installed."""

from __future__ import annotations

from importlib import metadata

_PACKAGES = (
    "restorebench",
    "torch",
    "torchvision",
    "numpy",
    "scipy",
    "scikit-image",
    "pandas",
    "pillow",
    "tifffile",
    "lpips",
    "open_clip_torch",
    "pluggy",
    "pydantic",
)


def installed() -> dict[str, str]:
    """Return the version of each package that numbers depend on, or an empty string."""
    return {name: version(name) for name in _PACKAGES}


def version(package: str) -> str:
    """Return the installed version of a package, or an empty string."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
