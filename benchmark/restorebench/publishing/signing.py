"""Signatures of a published folder, with a key that the user has for ssh, as git signs commits."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from restorebench.contract.errors import MissingResource, PublishedFolderError, RestorebenchError
from restorebench.publishing.layout import CHECKSUMS, SIGNATURE

NAMESPACE = "restorebench"
"""What a signature is for, so that none of it can be used elsewhere."""
_NOBODY = "No principal matched."
"""What ssh-keygen says if a file of signers is in order and does not list the key."""
_GOOD = re.compile(r'Good "[^"]*" signature with (?P<kind>\S+) key (?P<fingerprint>\S+)')


def sign(folder: Path, key: Path) -> None:
    """Sign the checksums of a published folder. key: a private ssh key, or a public one that the agent holds.

    Raises:
        RestorebenchError: the key cannot be used, or ssh-keygen is not installed.
    """
    (folder / SIGNATURE).unlink(missing_ok=True)
    done = _ssh_keygen(["sign", "-f", str(key), "-n", NAMESPACE, str(folder / CHECKSUMS)])
    if done.returncode:
        raise RestorebenchError(f"{key} cannot sign: {_last_line(done)}")


def signer(folder: Path, allowed: Path) -> str:
    """Return who signed a published folder. allowed: lines `NAME KEYTYPE KEY`, as ssh-keygen reads them.

    Raises:
        PublishedFolderError: it is not signed, by nobody of those, or changed since.
        RestorebenchError: the file cannot be read, or ssh-keygen is not installed.
    """
    signature, checksums = folder / SIGNATURE, folder / CHECKSUMS
    require_signers(allowed)
    if not signature.is_file():
        raise PublishedFolderError(f"{folder} is not signed: {SIGNATURE} is missing")
    found = _ssh_keygen(["find-principals", "-s", str(signature), "-f", str(allowed)])
    names = found.stdout.decode(errors="replace").split("\n")[0].strip()
    if wrong := [line for line in _lines(found) if line != _NOBODY]:
        raise RestorebenchError(f"{allowed} cannot be used: {wrong[0]}; each line is `NAME KEYTYPE KEY`")
    if found.returncode or not names:
        raise PublishedFolderError(f"{folder} is signed by none of those in {allowed}")
    name = names.split(",")[0]
    arguments = ["verify", "-f", str(allowed), "-I", name, "-n", NAMESPACE, "-s", str(signature)]
    done = _ssh_keygen(arguments, checksums.read_bytes())
    if done.returncode:
        raise PublishedFolderError(f"{checksums} is not what {name} signed: {_last_line(done)}")
    return name


def require_signers(allowed: Path) -> None:
    """Refuse a file of signers that is not there.

    Raises:
        MissingResource: it is not there.
    """
    if not allowed.is_file():
        raise MissingResource(f"{allowed} is no file; it holds a line `NAME KEYTYPE KEY` for each signer")


def signing_key(folder: Path) -> str:
    """Return the key that a published folder was signed with, as `ED25519 SHA256:...`; it may be anybody's.

    Raises:
        PublishedFolderError: the checksums are not what was signed.
        MissingResource: ssh-keygen is not installed.
    """
    signature, checksums = folder / SIGNATURE, folder / CHECKSUMS
    done = _ssh_keygen(["check-novalidate", "-n", NAMESPACE, "-s", str(signature)], checksums.read_bytes())
    found = _GOOD.search(done.stdout.decode(errors="replace"))
    if done.returncode or found is None:
        raise PublishedFolderError(f"{checksums} is not what {SIGNATURE} signs: {_last_line(done)}; sign it again")
    return f"{found['kind']} {found['fingerprint']}"


def _ssh_keygen(arguments: list[str], data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["ssh-keygen", "-Y", *arguments], input=data, capture_output=True, check=False)
    except FileNotFoundError:
        raise MissingResource("ssh-keygen is not installed; signatures need it (package openssh-client)") from None


def _lines(done: subprocess.CompletedProcess[bytes]) -> list[str]:
    return done.stderr.decode(errors="replace").strip().splitlines()


def _last_line(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = _lines(done)
    return lines[-1] if lines else f"exit code {done.returncode}"
