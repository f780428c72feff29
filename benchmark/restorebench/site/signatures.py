"""Who signed a published folder, as its page says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from restorebench.contract.errors import MissingResource, PublishedFolderError
from restorebench.publishing.layout import SIGNATURE
from restorebench.publishing.signing import signer, signing_key


@dataclass(frozen=True)
class Signature:
    """The signature of a folder. key: its kind and fingerprint; empty where it could not be checked here.

    name: whose it is, by a file of signers; empty where there is none or it has no such key. sought: whether
    there is such a file.
    """

    key: str
    name: str
    sought: bool


def signature_of(folder: Path, signers: Path | None) -> Signature | None:
    """Return the signature of a published folder; None if it is not signed. signers: as `verify` takes it.

    Raises:
        PublishedFolderError: the checksums are not what was signed.
        RestorebenchError: there is no such file of signers, or it cannot be used without ssh-keygen.
    """
    if not (folder / SIGNATURE).is_file():
        return None
    try:
        key = signing_key(folder)
    except MissingResource:
        if signers is not None:
            raise
        return Signature("", "", False)
    if signers is None:
        return Signature(key, "", False)
    try:
        return Signature(key, signer(folder, signers), True)
    except PublishedFolderError:  # it is by somebody else: the key itself was right
        return Signature(key, "", True)
