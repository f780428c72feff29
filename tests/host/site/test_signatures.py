"""A board says who signed it, as `verify --signers` judges it, and that it is not signed where it is not."""

from __future__ import annotations

import re
import shutil
import subprocess
from html import unescape

import pytest

from restorebench.contract.errors import MissingResource, PublishedFolderError, RestorebenchError
from restorebench.publishing.layout import CHECKSUMS, SIGNATURE
from restorebench.publishing.signing import sign, signer
from restorebench.site.build import build
from tests.host.site.made import publish_made, seal

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")

NAME = "ada@<example>.org"


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    """Two keys, `one` and `other`, and `allowed`, a file of signers that knows the first."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("one", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    (folder / "allowed").write_text(f"{NAME} {(folder / 'one.pub').read_text()}")
    return folder


@pytest.fixture
def folder(tmp_path):
    small = {"rows": {"identity": 0.0, "good": 3.0}, "images": 0, "detectors": (), "clean": False}
    return publish_made(tmp_path / "results", **small)


def said(folder, **how):
    """What the page of the board says of its signature, in one line."""
    site = folder.parents[2] / "public"
    build(folder.parents[1], site, **how)
    page = (site / "boards/made-up/1/index.html").read_text()
    (found,) = re.findall(r'<p class="signature">(.*?)</p>', page, re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]*>", "", found)).split())


def fingerprint(key):
    told = subprocess.run(["ssh-keygen", "-l", "-f", key], check=True, capture_output=True, text=True).stdout
    return told.split()[1]


def test_a_board_without_a_signature_says_so(folder, keys):
    assert said(folder) == "Not signed."
    assert said(folder, signers=keys / "allowed") == "Not signed."


def test_a_signer_that_is_known_is_named_and_the_signature_can_be_downloaded(folder, keys):
    sign(folder, keys / "one")
    found = said(folder, signers=keys / "allowed")
    assert found == f"Signed by {NAME} with the key ED25519 {fingerprint(keys / 'one')}."
    assert signer(folder, keys / "allowed") == NAME
    files = folder.parents[2] / "public/boards/made-up/1/files"
    assert (files / SIGNATURE).read_bytes() == (folder / SIGNATURE).read_bytes()


def test_a_key_of_nobody_who_is_known_is_shown_without_a_name(folder, keys):
    sign(folder, keys / "other")
    other = fingerprint(keys / "other")
    assert said(folder, signers=keys / "allowed").startswith(
        f"Signed with the key ED25519 {other}, which is of none"
    )
    found = said(folder)
    assert found.startswith(f"Signed with the key ED25519 {other}. ") and found.endswith("not known here.")


@pytest.mark.faults
def test_a_damaged_file_of_signers_is_not_an_unknown_signer(folder, keys):
    sign(folder, keys / "one")
    (keys / "damaged").write_text("ada@example.org\n")
    with pytest.raises(RestorebenchError, match=r"damaged cannot be used: .*; each line is `NAME KEYTYPE KEY`"):
        said(folder, signers=keys / "damaged")


def test_without_ssh_keygen_a_board_says_that_nobody_looked(folder, keys, monkeypatch):
    sign(folder, keys / "one")
    monkeypatch.setenv("PATH", str(keys))
    assert said(folder).startswith("Signed. The signature was not checked")
    with pytest.raises(MissingResource, match="ssh-keygen is not installed"):
        said(folder, signers=keys / "allowed")


@pytest.mark.faults
def test_checksums_that_are_not_what_was_signed_are_refused(folder, keys):
    sign(folder, keys / "one")
    (folder / "README.md").write_text("something else\n")
    seal(folder)
    for how in ({}, {"signers": keys / "allowed"}):
        with pytest.raises(PublishedFolderError, match=rf"{CHECKSUMS} is not what {SIGNATURE} signs"):
            said(folder, **how)


@pytest.mark.faults
@pytest.mark.parametrize("content", ["", "no signature", "-----BEGIN SSH SIGNATURE-----\nx\n"])
def test_a_damaged_signature_is_refused(folder, content):
    (folder / SIGNATURE).write_text(content)
    with pytest.raises(PublishedFolderError, match="is not what"):
        said(folder)


@pytest.mark.faults
def test_a_signature_for_something_else_is_refused(folder, keys):
    """The same key and file, signed for another purpose, as for git."""
    (folder / SIGNATURE).unlink(missing_ok=True)
    command = ["ssh-keygen", "-q", "-Y", "sign", "-f", keys / "one", "-n", "git", folder / CHECKSUMS]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(PublishedFolderError, match="is not what"):
        said(folder, signers=keys / "allowed")


@pytest.mark.faults
def test_a_file_of_signers_that_is_not_there_is_named(call, folder):
    code, _, error = call("site", "results", "--signers", "nobody")
    assert code == 2 and "nobody is no file; it holds a line `NAME KEYTYPE KEY`" in error
