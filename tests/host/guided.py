"""Fuzz with coverage as the guide: `python tests/host/guided.py image|suite|weights [libFuzzer's options]`.

Needs `pip install atheris`. Each input is read or refused in lines that a user can act on; anything else that is
raised, a crash of a library and a hang of more than five seconds stop it and leave the input where it was started.
`-max_total_time=600` ends it after ten minutes, `-runs=N` after so many inputs, a folder keeps what was found.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["restorebench", "yaml", "tifffile", "PIL", "safetensors"]):
    from restorebench import RestorebenchError
    from restorebench.contract.catalog import discover
    from restorebench.plan.names import look_up
    from restorebench.suite import loading
    from restorebench.suite.settings import Request
    from restorebench.toolbox import images, weights

FOLDER = Path(tempfile.mkdtemp(prefix="guided-"))


def image(data: bytes) -> None:
    """Read bytes as an image, whatever its name says."""
    path = FOLDER / "image.png"
    path.write_bytes(data)
    for reader in (images.read_size, images.has_16_bits, images.read):
        with contextlib.suppress(RestorebenchError), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of damaged EXIF
            reader(path)


CATALOG = discover()


def suites(data: bytes) -> None:
    """Read bytes as a suite, and look its names up."""
    path = FOLDER / "any.yaml"
    path.write_bytes(data)
    with contextlib.suppress(RestorebenchError):
        try:
            look_up(loading.load(str(path), (), data=FOLDER), CATALOG, Request())
        except loading.InvalidSuite as error:
            if error.rest is not None:
                look_up(error.rest, CATALOG, Request())


def checkpoint(data: bytes) -> None:
    """Read bytes as weights, of both kinds."""
    for name in ("weights.safetensors", "weights.pth"):
        path = FOLDER / name
        path.write_bytes(data)
        with contextlib.suppress(RestorebenchError):
            weights.read(path)


TARGETS = {"image": image, "suite": suites, "weights": checkpoint}

if __name__ == "__main__":
    target = TARGETS.get(sys.argv[1] if len(sys.argv) > 1 else "")
    if target is None:
        sys.exit(f"{__doc__}\nname one of {', '.join(TARGETS)}")
    atheris.Setup([sys.argv[0], "-timeout=5", "-rss_limit_mb=4096", *sys.argv[2:]], target)
    atheris.Fuzz()
