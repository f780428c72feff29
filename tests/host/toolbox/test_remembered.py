from __future__ import annotations

import os
import sqlite3
import time

import numpy as np
import PIL.Image
import pytest

from restorebench import UnreadableImage
from restorebench.toolbox import files, images, remembered


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "a.png"
    PIL.Image.fromarray(np.zeros((5, 7, 3), np.uint8)).save(found)
    return found


@pytest.fixture(autouse=True)
def settled(monkeypatch):
    """Take files for settled at once; one test takes this back."""
    monkeypatch.setattr(remembered, "_SETTLED", 0)


@pytest.fixture
def reads(monkeypatch):
    """The files that are really read."""
    found = []
    digest, size = files.file_digest, images.read_size
    monkeypatch.setattr(files, "file_digest", lambda path: found.append("digest") or digest(path))
    monkeypatch.setattr(images, "read_size", lambda path: found.append("size") or size(path))
    return found


def restart():
    """Write what is remembered and forget what is in memory, as the end of a process does."""
    store = remembered._opened()
    if store is not None:
        store.write()
    remembered._store.cache_clear()


def test_a_file_is_read_once_and_known_in_the_next_run(path, reads):
    first = remembered.file_digest(path), remembered.image_size(path)
    assert first == (files.file_digest(path), (5, 7))
    del reads[:]
    assert (remembered.file_digest(path), remembered.image_size(path)) == first
    restart()
    assert (remembered.file_digest(path), remembered.image_size(path)) == first
    assert reads == []


def rewritten(path):
    path.write_bytes(b"x" * path.stat().st_size)


def rewritten_in_place(path):
    with path.open("r+b") as file:
        file.write(b"y")


def replaced(path):
    path.with_suffix(".new").write_bytes(b"z" * path.stat().st_size)
    path.with_suffix(".new").replace(path)


def linked(path):
    path.with_suffix(".new").write_bytes(b"l" * path.stat().st_size)
    path.unlink()
    path.symlink_to(path.with_suffix(".new"))


@pytest.mark.parametrize("change", [rewritten, rewritten_in_place, replaced, linked])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_changed_file_is_noticed_even_with_its_old_size_and_time(path, change, restarted):
    before, times = remembered.file_digest(path), path.stat()
    if restarted:
        restart()
    time.sleep(0.05)  # some ticks of the clock of the file system
    change(path)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert remembered.file_digest(path) == files.file_digest(path) != before


def test_a_file_that_changed_just_now_is_not_remembered(path, reads, monkeypatch):
    monkeypatch.setattr(remembered, "_SETTLED", 3_600_000_000_000)
    remembered.file_digest(path)
    remembered.file_digest(path)
    assert reads == ["digest", "digest"]


def test_what_cannot_be_used_fails_every_time(tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    for _ in range(2):
        with pytest.raises(UnreadableImage):
            remembered.image_size(broken)
        with pytest.raises(FileNotFoundError):
            remembered.file_digest(tmp_path / "none.png")


@pytest.mark.parametrize(
    "damage", ["not a database", "a folder", "a file in place of the folder", "another table"]
)
def test_a_cache_that_cannot_be_used_is_done_without(path, tmp_path, monkeypatch, damage):
    home = tmp_path / "home"
    monkeypatch.setattr(remembered, "cache_folder", lambda: home)
    remembered._store.cache_clear()
    if damage == "a file in place of the folder":
        home.write_text("")
    else:
        home.mkdir()
    if damage == "not a database":
        (home / remembered.FILE).write_bytes(b"rubbish" * 1000)
    elif damage == "a folder":
        (home / remembered.FILE).mkdir()
    elif damage == "another table":
        with sqlite3.connect(home / remembered.FILE) as connection:
            connection.execute("CREATE TABLE facts (a)")
    for _ in range(2):
        assert remembered.file_digest(path) == files.file_digest(path)
        assert remembered.image_size(path) == (5, 7)
        restart()


def test_a_damaged_fact_is_found_again(path):
    remembered.image_size(path)
    restart()
    with sqlite3.connect(remembered.cache_folder() / remembered.FILE) as connection:
        connection.execute("UPDATE facts SET fact = 'none'")
    assert remembered.image_size(path) == (5, 7)


def test_a_name_that_is_not_utf_8_is_read_each_time(tmp_path, reads):
    odd = tmp_path / os.fsdecode(b"\xff.bin")
    odd.write_bytes(b"1")
    assert remembered.file_digest(odd) == remembered.file_digest(odd)
    assert reads == ["digest", "digest"]
