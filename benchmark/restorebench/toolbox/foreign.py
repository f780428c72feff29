"""Checks of weight files: refusal of files that torch must not open, and reasons why one could not be loaded."""

from __future__ import annotations

import pickle
import re
import zipfile
from pathlib import Path

from restorebench.contract.errors import MissingResource, RestorebenchError

_FOREIGN = re.compile("GLOBAL|allowlisted|Trying to call reduce")
"""Words in torch's error about a checkpoint that would import or call something."""

_PICKLE = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))

ARCHIVE = b"PK\x03\x04"
"""First bytes of a file that torch reads as an archive, the format that it has written since 1.6."""
OLD = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
"""First bytes of a file that torch wrote before 1.6: `torch.serialization.MAGIC_NUMBER`."""

_PRINTABLE = frozenset(range(32, 127)) | frozenset(b"\t\n\r")


def require_plain(path: Path) -> None:
    """Refuse a path that torch must not open: no file, a compiled program, or a compressed archive.

    Raises:
        MissingResource: there is no such file.
        RestorebenchError: it is a compiled program, is compressed, or cannot be read.
    """
    if not path.is_file():
        what = "a folder; name the file in it" if path.is_dir() else "no such file"
        raise MissingResource(f"weights {path}: {what}")
    try:
        if not begins(path, ARCHIVE):
            return
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except Exception as error:  # damaged archives raise errors of many types
        raise RestorebenchError(f"weights {path}: {trouble(path, error)}") from error
    if any(part.filename.endswith("/constants.pkl") for part in parts):
        raise RestorebenchError(
            f"weights {path}: a compiled program (TorchScript), not a checkpoint; get the checkpoint itself"
        )
    if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
        raise RestorebenchError(
            f"weights {path}: compressed, so that a small file may unpack to any size; torch never compresses:"
            " save it again with torch"
        )


def trouble(path: Path, error: Exception) -> str:
    """Return the reason why a file could not be loaded, from its first bytes or from torch's error."""
    try:
        with path.open("rb") as stream:
            head = stream.read(512)
    except OSError as refused:
        return f"cannot be read ({refused.strerror or refused}); change its permissions, or copy it elsewhere"
    if head.startswith(b"version https://git-lfs"):
        return "a git-lfs pointer instead of the file; fetch the file with `git lfs pull`"
    if head.lstrip().startswith(b"<"):
        return "a web page or XML, as failed downloads leave it; download the file again"
    if head and all(byte in _PRINTABLE for byte in head):
        return "a text file, not weights; download the file again"
    if isinstance(error, pickle.UnpicklingError) and _FOREIGN.search(str(error)):
        return (
            "holds more than tensors and plain values, and might run code; refused"
            " (save its state dictionary alone)"
        )
    if head.startswith(_PICKLE) and not head.startswith(OLD):
        return "a pickle that torch did not write, which may hold anything; save its tensors with torch.save"
    return f"truncated, or no checkpoint at all ({first_sentence(error)})"


def begins(path: Path, mark: bytes) -> bool:
    """Tell whether a file begins with some bytes."""
    with path.open("rb") as stream:
        return stream.read(len(mark)) == mark


def first_sentence(error: BaseException) -> str:
    """Return the first sentence of an error's message, or the name of its type; libraries write long messages."""
    return (str(error).splitlines() or [type(error).__name__])[0].partition(". ")[0]
