from __future__ import annotations

from types import SimpleNamespace

import pytest

from restorebench import RestorerInfo, hookimpl
from restorebench.contract import catalog
from restorebench.contract.errors import BrokenPlugin, DuplicateName, UnknownName
from restorebench.contract.tasks import TEN_NAMES


def card(name="mine", **facts):
    return RestorerInfo(**{"name": name, "version": "1", "summary": "Mine.", "load": "nowhere:Nothing", **facts})


def plugin(**hooks):
    return SimpleNamespace(**{name: hookimpl(function) for name, function in hooks.items()})


def test_the_built_in_plugins_come_through_the_front_door():
    found = catalog.discover()
    assert not found.broken
    assert {"identity", "classical", "global-affine"} <= set(found.names("restorer"))
    assert set(TEN_NAMES) <= set(found.names("degradation"))
    assert all(entry.source.startswith("entry:") for entry in found.entries)


def test_a_typo_in_a_hook_name_is_rejected_with_the_nearest():
    with pytest.raises(BrokenPlugin, match=r"no hook 'restorebench_restorer' \(nearest: restorebench_restorers"):
        catalog.collect_cards(plugin(restorebench_restorer=lambda: []))


@pytest.mark.parametrize(
    ("cards", "message"),
    [
        ([card("Not Kebab")], "not kebab-case"),
        ([card(summary="")], "needs a version and a one-sentence summary"),
        (["identity"], "must return RestorerInfos, got str"),
    ],
)
def test_a_card_that_breaks_the_rules_is_refused(cards, message):
    with pytest.raises(BrokenPlugin, match=message):
        catalog.collect_cards(plugin(restorebench_restorers=lambda: cards))


def test_a_plugin_that_offers_a_name_twice_is_refused():
    with pytest.raises(DuplicateName, match="offered 2 times"):
        catalog.collect_cards(plugin(restorebench_restorers=lambda: [card(), card()]))


def test_a_name_claimed_by_two_plugins_is_an_error_only_when_asked_for():
    one, two = (catalog.Entry("restorer", card(), owner, f"entry:{owner}") for owner in ("one", "two"))
    other = catalog.Entry("restorer", card("other"), "one", "entry:one")
    found = catalog.Catalog((one, two, other))
    assert found.find("restorer", "other").name == "other"
    with pytest.raises(DuplicateName, match="one and two"):
        found.find("restorer", "mine")


def test_an_unknown_name_gives_the_nearest_and_the_broken_plugins():
    known = catalog.Entry("restorer", card("identity"), "one", "entry:one")
    found = catalog.Catalog((known,), (catalog.Broken("bad-plugin", "entry:bad", "no"),))
    with pytest.raises(UnknownName, match=r"nearest: identity.*broken plugins: bad-plugin"):
        found.find("restorer", "idntity")


def test_a_missing_module_makes_a_card_unavailable_with_the_command_to_install_it():
    entry = catalog.Entry("restorer", card(requires={"no_such_module": "pip install x"}), "one", "entry:one")
    assert entry.unavailable == "needs no_such_module: pip install x"


def test_a_worker_imports_only_what_it_is_told(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from restorebench import RestorerInfo, hookimpl\n"
        "@hookimpl\ndef restorebench_restorers():\n"
        "    return [RestorerInfo(name='mine', version='1', summary='Mine.', load='a:b')]\n"
    )
    found = catalog.discover(only=[f"file:{tmp_path / 'mine.py'}", "entry:metrics"])
    assert found.names("restorer") == ["mine"]
    assert found.names("dataset") == []
    assert "psnr" in found.names("metric")


def test_a_file_that_is_given_twice_is_one_plugin(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from restorebench import RestorerInfo, hookimpl\n"
        "@hookimpl\ndef restorebench_restorers():\n"
        "    return [RestorerInfo(name='mine', version='1', summary='Mine.', load='a:b')]\n"
    )
    found = catalog.discover(
        [tmp_path / "mine.py", tmp_path / "." / "mine.py", tmp_path / ".." / tmp_path.name / "mine.py"]
    )
    assert found.find("restorer", "mine").name == "mine"
