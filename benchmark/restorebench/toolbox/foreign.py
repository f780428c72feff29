"""Tell what a file is that is no checkpoint, and refuse what must not even be opened as one."""

from __future__ import annotations

import pickle
import re
import zipfile
from pathlib import Path

from restorebench.contract.errors import MissingResource, RestorebenchError

_FOREIGN = re.compile("GLOBAL|allowlisted|Trying to call reduce")
"""What torch says of a checkpoint that would import or call something."""

_PICKLE = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))

ARCHIVE = b"PK\x03\x04"
"""What a file begins with that torch takes for an archive, as it writes them since 1.6."""
OLD = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
"""What one begins with that it wrote before: `torch.serialization.MAGIC_NUMBER`."""

_PRINTABLE = frozenset(range(32, 127)) | frozenset(b"\t\n\r")


def require_plain(path: Path) -> None:
    """Refuse what torch must not even be given: what is no file, a compiled program, or compressed.

    Raises:
        MissingResource: there is no such file.
        RestorebenchError: it is one of the others, or cannot be read.
    """
    if not path.is_file():
        what = "a folder; name the file in it" if path.is_dir() else "no such file"
        raise MissingResource(f"weights {path}: {what}")
    try:
        if not begins(path, ARCHIVE):
            return
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except Exception as error:  # what damaged archives raise has no common type
        raise RestorebenchError(f"weights {path}: {trouble(path, error)}") from error
    if any(part.filename.endswith("/constants.pkl") for part in parts):
        raise RestorebenchError(
            f"weights {path}: a compiled program (TorchScript), not a checkpoint; get the checkpoint itself"
        )
    if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
        raise RestorebenchError(
            f"weights {path}: compressed, which torch never writes: a small file may unpack to any size;"
            " save it anew with torch"
        )


def trouble(path: Path, error: Exception) -> str:
    """Say why a file could not be loaded: by how it begins, or by what torch says of it."""
    try:
        with path.open("rb") as stream:
            head = stream.read(512)
    except OSError as refused:
        return f"cannot be read ({refused.strerror or refused}); change who may read it, or copy it elsewhere"
    if head.startswith(b"version https://git-lfs"):
        return "a pointer of git-lfs, not the file that it stands for; fetch that with `git lfs pull`"
    if head.lstrip().startswith(b"<"):
        return "a web page or XML, as a download that failed leaves it; fetch the file anew"
    if head and all(byte in _PRINTABLE for byte in head):
        return "a text file, not weights; fetch the file anew"
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
    """Shorten what libraries say at length."""
    return (str(error).splitlines() or [type(error).__name__])[0].partition(". ")[0]
