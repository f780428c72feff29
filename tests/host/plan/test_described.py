"""What the process of a plugin says of its options may be anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from restorebench.contract.errors import BrokenPlugin
from restorebench.plan.described import Described


def asking(told):
    """Return a model of options whose process gives one answer."""
    return type("Asking", (Described,), {"_ask": staticmethod(lambda given: told), "__annotations__": {}})


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"plain": {}, "tagged": 5},
        {"plain": {"a": 1, "b": 2}, "tagged": {"$map": {"a": 1}}},
        {"problems": [{}]},
        {"problems": 5},
        {"problems": [{"type": "x", "msg": "m", "loc": 7, "input": None}]},
        {"plain": [], "tagged": {"$path": 7}},
    ],
)
def test_an_answer_of_another_form_is_a_broken_plugin(told):
    with pytest.raises(BrokenPlugin, match="its process checks no options"):
        asking(told).model_validate({})


def test_options_dump_as_data_or_with_paths_and_sets():
    told = {"plain": {"a": "/x", "b": [1]}, "tagged": {"$map": {"a": {"$path": "/x"}, "b": {"$set": [1]}}}}
    made = asking(told).model_validate({})
    assert made.model_dump(mode="json") == told["plain"]
    assert made.model_dump() == {"a": Path("/x"), "b": {1}}


def test_problems_are_those_that_the_process_names():
    told = {"problems": [{"type": "x", "msg": "too {small}", "loc": ["a", 0], "input": 1}]}
    with pytest.raises(ValidationError) as caught:
        asking(told).model_validate({})
    (problem,) = caught.value.errors()
    assert (problem["msg"], problem["loc"]) == ("too {small}", ("a", 0))
