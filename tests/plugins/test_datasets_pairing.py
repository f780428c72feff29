"""The naming rules of paired folders, as pure functions on names."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from restorebench_datasets.options import Pairing
from restorebench_datasets.pairing import RULES, fitting_rules, match

EXAMPLES = {
    "stem": ({"a": "a", "sub/b": "sub/b"}, ["c"]),
    "sots": ({"0001_0.8_0.2": "0001", "0001_1_0.12": "0001", "0002_.9_1.": "0002"}, ["0001_a_0.2", "0001_0.8"]),
    "rain100": ({"rain-001": "norain-1", "rain-10": "norain-010", "rain-2x2": "norain-2"}, ["rain", "rain-x"]),
    "raindrop": ({"0_rain": "0_clean", "17_rain": "17_clean"}, ["17", "a_rain"]),
    "srd": ({"IMG_1": "IMG_1_no_shadow", "IMG_2": "IMG_2_free"}, ["IMG_3", "IMG_1_free"]),
    "lolv2-real": ({"low00690": "normal00690", "low1": "normal001"}, ["690", "lowa"]),
    "rain1400": ({"901_1": "901", "901_14": "901", "902_1": "902"}, ["901", "901_a"]),
    "istd": ({"1-1": "1-1"}, ["x"]),
}


def test_options_name_exactly_the_rules_that_exist() -> None:
    assert set(get_args(Pairing)) == {"auto", *RULES}
    assert set(EXAMPLES) == set(RULES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_rule_pairs_the_names_of_its_layout(name: str) -> None:
    partners, _ = EXAMPLES[name]
    assert match(list(partners), sorted(set(partners.values())), RULES[name]) == (partners, [])


@pytest.mark.parametrize("name", EXAMPLES)
def test_names_that_do_not_follow_the_rule_are_named(name: str) -> None:
    partners, strangers = EXAMPLES[name]
    assert strangers
    for stranger in strangers:
        _, problems = match([*partners, stranger], sorted(set(partners.values())), RULES[name])
        assert problems == [f"1 degraded without a clean partner: {stranger}"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_clean_file_without_a_partner_is_named(name: str) -> None:
    partners, _ = EXAMPLES[name]
    _, problems = match(list(partners), [*sorted(set(partners.values())), "left.over"], RULES[name])
    assert problems == ["1 clean without a degraded partner: left.over"]


def test_name_without_a_key_on_both_sides_is_no_pair() -> None:
    pairs, problems = match(["x"], ["x"], RULES["raindrop"])
    assert pairs == {}
    assert len(problems) == 2


def test_clean_file_used_twice_is_an_error_unless_the_rule_allows_it() -> None:
    _, problems = match(["rain-1", "rain-01"], ["norain-1"], RULES["rain100"])
    assert problems == ["2 degraded files that share one clean file: rain-1, rain-01"]
    assert match(["7_1", "7_2"], ["7"], RULES["rain1400"])[1] == []


def test_two_clean_files_with_one_key_are_an_error() -> None:
    _, problems = match(["a"], ["a_free", "a_no_shadow"], RULES["srd"])
    assert problems == ["2 clean files with the same key: a_free, a_no_shadow"]


def test_same_name_in_another_folder_is_no_partner() -> None:
    _, problems = match(["one/a"], ["two/a"], RULES["stem"])
    assert len(problems) == 2


def test_long_lists_are_cut_and_counted() -> None:
    _, problems = match([f"{n:02}" for n in range(12)], ["x"], RULES["stem"])
    assert problems[0] == "12 degraded without a clean partner: 00, 01, 02, 03, 04 and 7 more"


def test_fitting_rules_are_those_that_match_every_file() -> None:
    assert fitting_rules(["1_rain", "2_rain"], ["1_clean", "2_clean"]) == ["raindrop"]
    assert fitting_rules(["a"], ["b"]) == []


NAMES = st.lists(st.text("abc0123-", min_size=1, max_size=6), min_size=1, max_size=8, unique=True)
NUMBERS = st.lists(st.integers(0, 10**6), min_size=1, max_size=8, unique=True)


@given(numbers=NUMBERS, shuffle=st.randoms(use_true_random=False), width=st.integers(1, 6))
@pytest.mark.parametrize(
    ("rule", "degraded", "clean"),
    [
        ("rain100", "rain-{}", "norain-{}"),
        ("raindrop", "{}_rain", "{}_clean"),
        ("lolv2-real", "low{}", "normal{}"),
        ("srd", "{}", "{}_no_shadow"),
    ],
)
def test_numbered_layouts_round_trip_in_any_order(rule, degraded, clean, numbers, shuffle, width) -> None:
    expected = {degraded.format(f"{n:0{width}}"): clean.format(f"{n:0{width}}") for n in numbers}
    shuffled = list(expected.values())
    shuffle.shuffle(shuffled)
    assert match(list(expected), shuffled, RULES[rule]) == (expected, [])


@given(names=NAMES, beta=st.floats(0, 9).map(lambda value: f"{value:.4f}"), copies=st.integers(1, 3))
def test_hazy_layout_round_trips_many_to_one(names: list[str], beta: str, copies: int) -> None:
    expected = {f"{name}_0.{copy}_{beta}": name for name in names for copy in range(copies)}
    assert match(list(expected), names, RULES["sots"]) == (expected, [])


@given(names=NAMES, dropped=st.integers(0, 7))
def test_a_dropped_file_never_shifts_the_other_pairs(names: list[str], dropped: int) -> None:
    missing = names[dropped % len(names)]
    pairs, problems = match(names, [name for name in names if name != missing], RULES["stem"])
    assert pairs == {name: name for name in names if name != missing}
    assert problems == [f"1 degraded without a clean partner: {missing}"]


ANY_NAMES = st.lists(
    st.text("ab01_.-x/\n\u00e9", min_size=1, max_size=9)
    | st.from_regex(r"(no)?rain-0?[0-9]{1,3}(x2)?", fullmatch=True),
    max_size=8,
    unique=True,
)


@given(degraded=ANY_NAMES, clean=ANY_NAMES, rule=st.sampled_from(sorted(RULES)))
def test_under_every_rule_any_names_pair_or_are_named(degraded: list[str], clean: list[str], rule: str) -> None:
    pairs, problems = match(degraded, clean, RULES[rule])
    assert set(pairs) <= set(degraded) and set(pairs.values()) <= set(clean)
    whole = set(pairs) == set(degraded) and set(pairs.values()) == set(clean)
    once = RULES[rule].many_to_one or len(set(pairs.values())) == len(pairs)
    assert bool(problems) == (not (whole and once))
    assert match(degraded[::-1], clean[::-1], RULES[rule])[0] == pairs or problems
