"""What hostile plugins gain: nothing. `python -m tests.host.boundary` prints the table."""

from __future__ import annotations

import pytest

from restorebench.contract.errors import BrokenPlugin
from restorebench.guest import confinement
from restorebench.plan import described
from restorebench.runner import prepare
from restorebench.suite.settings import Settings
from tests.host.boundary import at_import, table

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(confinement.signals_pass(), reason="this kernel does not confine signals"),
]


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """The score of a restorer that returns its input."""
    ran = table.run(tmp_path_factory.mktemp("honest") / "run", ["identity"], [])
    return ran.lines["identity"]["psnr@rgb"]


@pytest.mark.parametrize("moment", ["calls", "imports"])
def test_hostile_plugins_gain_nothing_and_harm_nobody(tmp_path, honest, moment):
    names = table.names() if moment == "calls" else [*at_import.BODIES]
    plugins = [table.ATTACKS] if moment == "calls" else [at_import.write(tmp_path, name) for name in names]
    ran, wrong = table.beside_honest_ones(tmp_path / "run", names, plugins, honest)
    assert [row for row in table.rows(ran, names, honest) if not row.held] == []
    assert wrong == []
    assert list(tmp_path.rglob("written-by-a-plugin")) == []


@pytest.mark.parametrize("name", at_import.USELESS)
def test_a_plugin_that_cannot_be_used_is_one_line(tmp_path, monkeypatch, name, call):
    monkeypatch.setattr(described, "SECONDS", 5.0)
    path = at_import.write(tmp_path, name)
    asked = ["identity"] if name == "is-called-as-another" else ["identity", name]
    (tmp_path / "hostile.yaml").write_text(table.SUITE % (", ".join(asked), table.SECONDS))
    code, out, err = call("run", "hostile.yaml", "--plugin", path)
    assert code == 2 and out == ""
    (line,) = err.splitlines()
    assert path.name in line or name in line


def test_the_driver_does_not_import_the_plugin_of_a_method(tmp_path, monkeypatch):
    path = at_import.write(tmp_path, "patches-the-records")
    (tmp_path / "s.yaml").write_text(table.SUITE % ("patches-the-records", table.SECONDS))
    from restorebench.records import Record

    before = Record.__init__
    plan = prepare(str(tmp_path / "s.yaml"), Settings(plugins=(path,)))
    assert [cell.name for cell in plan.restorer_cells][:1] == ["patches-the-records told nothing"]
    assert Record.__init__ is before


def test_a_plugin_file_that_is_not_there_is_one_line(tmp_path):
    (tmp_path / "s.yaml").write_text(table.SUITE % ("identity", table.SECONDS))
    with pytest.raises(BrokenPlugin, match=r"gone\.py is not a file"):
        prepare(str(tmp_path / "s.yaml"), Settings(plugins=(tmp_path / "gone.py",)))
