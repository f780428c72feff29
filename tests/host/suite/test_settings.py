from __future__ import annotations

from pathlib import Path

import pytest

from restorebench.suite.settings import cache_folder


@pytest.mark.parametrize("value", [None, ""])
def test_the_cache_is_in_the_home_folder_unless_a_variable_says_where(monkeypatch, value):
    for name in ("RESTOREBENCH_HOME", "XDG_CACHE_HOME"):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)  # empty counts as unset
    assert cache_folder() == Path.home() / ".cache" / "restorebench"
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache_folder() == Path("/caches/restorebench")


def test_a_relative_cache_is_the_same_folder_in_any_working_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RESTOREBENCH_HOME", "cache")
    assert cache_folder() == tmp_path / "cache"
