from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from restorebench.contract.errors import MissingResource, RestorebenchError, SuiteError, UnknownName
from restorebench.runner import prepare
from restorebench.suite import loading as suites
from restorebench.suite.marked_yaml import MAX_BYTES, MAX_DEPTH, MAX_NODES
from restorebench.suite.model import Suite
from restorebench.suite.settings import Request, Settings
from restorebench.suite.substitution import Overridden

MINIMAL = "suite: mine\ndatasets: [synthetic]\n"


def test_the_smallest_suite_has_every_default():
    suite = suites.loads(MINIMAL).suite
    assert suite.metrics == ["psnr", "ssim"]
    assert suite.protocols == ["rgb"]
    assert len(suite.tasks) == 10
    assert suite.restorers[0].name == "identity"


def test_every_error_of_a_file_is_reported_at_its_place():
    text = "suite: mine\nsede: 3\ndatasets:\n  - name: synthetic\n    optons: {}\nrepetitions: many\n"
    with pytest.raises(SuiteError) as caught:
        suites.loads(text, "bad.yaml")
    lines = str(caught.value).splitlines()
    assert lines[0] == "bad.yaml:2:1: sede: no such key (nearest: seed, save)"
    assert lines[1] == "bad.yaml:5:5: datasets[0].optons: no such key (nearest: options)"
    assert lines[2].startswith("bad.yaml:6:1: repetitions: ")
    assert lines[2].endswith("got 'many'")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("- a\n- b\n", "1:1: expected `key: value`"),
        ("suite: a\nsuite: b\ndatasets: [synthetic]\n", "2:1: suite: given twice"),
        ("suite: a\ndatasets:\n\t- synthetic\n", "3:1: not valid YAML"),
        ("suite: a\ndatasets: [synthetic\n", "not valid YAML"),
        ("suite: A b\ndatasets: [synthetic]\n", "1:1: suite: "),
        ("suite: a\n", "datasets: is required"),
        ("suite: a\ndatasets: [synthetic]\nseed: ${sede}\nvariables: {seed2: 1}\n", "no variable 'sede'"),
        ("suite: a\ndatasets: [synthetic]\nseed: ${a}\nvariables: {a: '${b}', b: '${a}'}\n", "in a circle"),
        ("a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
         "d: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d]\n", "after anchors are expanded"),
    ],
)  # fmt: skip
def test_a_bad_suite_is_refused_with_a_place(text, message):
    with pytest.raises(SuiteError, match=message.replace("(", r"\(").replace("[", r"\[").replace("$", r"\$")):
        suites.loads(text, "bad.yaml")


def test_numbers_and_booleans_follow_yaml_1_2():
    suite = suites.loads(MINIMAL + "limits: {image_seconds: 1e2}\nclean_inputs: false\n").suite
    assert suite.limits.image_seconds == 100
    assert suite.clean_inputs is False
    assert suites.loads(MINIMAL + "seed: 0x10\n").suite.seed == 16


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("clean_inputs: no", "valid boolean"),
        ("clean_inputs: 1", "valid boolean"),
        ("seed: '3'", "valid integer"),
        ("seed: 1:30", "valid integer"),
        ("seed: 010", "valid integer"),
        ("seed: 3.0", "valid integer"),
        ("seed: true", "valid integer"),
        ("version: 1.10", "put it in quotes"),
        ("tile: 64\ntile_overlap: 64", "must be smaller than tile"),
        ("tile: 32", "must be smaller than tile"),
    ],
)
def test_a_value_of_another_kind_is_refused_rather_than_guessed(line, message):
    with pytest.raises(SuiteError, match=message):
        suites.loads(MINIMAL + line + "\n")


def test_a_wrong_override_is_not_blamed_on_the_file():
    text = MINIMAL + "seed: 1\nrestorers:\n  - name: identity\n"
    for override, keys in [("seed=-1", "seed"), ("restorers=[{nam: a}]", "restorers[0].name")]:
        with pytest.raises(SuiteError) as caught:
            suites.loads(text, overrides=[override])
        assert str(caught.value).startswith(f"--set {override}: {keys}: ")
    with pytest.raises(SuiteError, match=r"^--save: input should be 'none' or 'all'"):
        suites.loads(text, extra={"save": "some"})


def test_binary_and_huge_files_are_refused(tmp_path):
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(SuiteError, match="not UTF-8"):
        suites.load(str(binary))
    huge = tmp_path / "huge.yaml"
    huge.write_text("#" * (MAX_BYTES + 1))
    with pytest.raises(SuiteError, match="larger than"):
        suites.load(str(huge))
    with pytest.raises(SuiteError, match="cannot be read"):
        suites.load(str(tmp_path / "none.yaml"))


def test_an_unknown_suite_names_the_nearest():
    with pytest.raises(UnknownName, match="nearest: quickstart"):
        suites.load("quikstart")


def test_overrides_reach_keys_variables_and_list_items():
    text = (
        "suite: mine\nvariables: {clean: here, severities: [3]}\n"
        "datasets:\n  - name: synthetic\n    options: {clean: '${clean}', severities: '${severities}'}\n"
        "restorers: [identity, {name: classical, label: mine}]\n"
    )
    overrides = ["clean=there", "severities=[1,2]", "seed=5", "restorers.mine.tell=task", "limits.image_seconds=9"]
    suite = suites.loads(text, overrides=overrides).suite
    assert suite.datasets[0].options == {"clean": "there", "severities": [1, 2]}
    assert isinstance(suite.datasets[0].options["clean"], Overridden)
    assert suite.seed == 5
    assert suite.restorers[1].tell == "task"
    assert suite.limits.image_seconds == 9


@pytest.mark.parametrize(
    ("path", "override", "is_overridden"),
    [
        ("${clean}", "clean=there", True),
        ("${clean}/val", "clean=there", True),
        ("${nested}/val", "clean=there", True),
        ("pairs/${clean}", "clean=there", False),
        ("${clean}/${nested}", "nested=there", False),
        ("${clean}", "clean='${nested}/a'", False),
        ("here", "datasets=[{name: synthetic, options: {clean: there}}]", True),
    ],
)
def test_what_a_path_begins_with_decides_what_it_is_relative_to(path, override, is_overridden):
    text = (
        "suite: mine\nvariables: {clean: here, nested: '${clean}/x'}\n"
        f"datasets: [{{name: synthetic, options: {{clean: '{path}'}}}}]\n"
    )
    if "nested}" in override:
        text = text.replace("${clean}/x", "x")
    found = suites.loads(text, overrides=[override]).suite.datasets[0].options["clean"]
    assert isinstance(found, Overridden) == is_overridden


@pytest.mark.parametrize(
    "text",
    [
        "sed=1",
        "seed",
        "=1",
        "restorers.none.tell=task",
        "seed=[1",
        "suite.a=1",
        "seed=!!int x",
        "seed={a: 1, a: 2}",
        "seed=" + "[" * 9999,
    ],
)
def test_a_wrong_override_is_refused(text):
    with pytest.raises(SuiteError, match="--set"):
        suites.loads(MINIMAL + "restorers: [identity]\n", overrides=[text])


def test_data_must_be_given_where_it_is_used(tmp_path, monkeypatch):
    monkeypatch.delenv("RESTOREBENCH_DATA", raising=False)
    text = "suite: a\ndatasets:\n  - name: paired-folder\n    options: {path: '${data}/x'}\n"
    with pytest.raises(SuiteError, match="--data DIR or set RESTOREBENCH_DATA"):
        suites.loads(text)
    assert suites.loads(text, data=tmp_path).suite.datasets[0].options["path"] == f"{tmp_path}/x"


def test_every_bundled_suite_is_valid(tmp_path):
    found = suites.bundled()
    assert {
        "quickstart",
        "ten",
        "real10",
        "compact",
        "composite",
        "detection",
        "severity",
        "detection-cost",
        "airnet-table",
        "daclip-table",
        "generative-miniature",
    } <= set(found)
    for path in found.values():
        assert suites.load(str(path), data=tmp_path).suite.suite == path.stem


def test_the_schema_is_json_and_names_every_key():
    schema = json.loads(json.dumps(suites.schema()))
    assert set(schema["properties"]) == set(Suite.model_fields)


@pytest.mark.parametrize("name", suites.bundled())
def test_the_schema_accepts_what_a_suite_may_be(name):
    jsonschema = pytest.importorskip("jsonschema")
    raw = yaml.safe_load(suites.bundled()[name].read_text())
    raw["reports"] = ["csv", {"name": "latex", "options": {"intervals": True}}]
    jsonschema.validate(raw, suites.schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(raw | {"reports": [{"nam": "csv"}]}, suites.schema())


@given(st.text(alphabet="abs:{}[]&*-?!|>'\"%@` \n\t0.e${}", max_size=80))
def test_any_text_is_a_suite_or_a_clear_error(text):
    try:
        suites.loads(text, "any.yaml")
    except RestorebenchError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ("[hazy+rainy, noisy, rainy+hazy]", "'rainy+hazy' is listed twice, as 'hazy+rainy'"),
        ("[hazy, noisy, hazy]", "'hazy' is listed twice"),
        ("[hazy, noisy, hazy+hazy]", "'hazy+hazy' names a degradation twice; name each once"),
    ],
)
def test_a_task_in_another_order_is_the_same_task(tmp_path, tasks, message):
    (tmp_path / "s.yaml").write_text(f"suite: s\ntasks: {tasks}\ndatasets: [synthetic]\n")
    with pytest.raises(SuiteError) as caught:
        prepare(str(tmp_path / "s.yaml"), Settings())
    column = len("tasks: ") + tasks.rindex(",") + 3
    assert str(caught.value) == f"{tmp_path / 's.yaml'}:2:{column}: tasks[2]: {message}"


def test_a_task_may_be_asked_for_in_another_order(tmp_path):
    (tmp_path / "s.yaml").write_text("suite: s\ntasks: [hazy+rainy, noisy]\ndatasets: [synthetic]\n")
    plan = prepare(str(tmp_path / "s.yaml"), Settings(request=Request(tasks=("rainy+hazy",))))
    assert plan.tasks == ("hazy+rainy",)


@pytest.mark.parametrize(
    ("dataset", "key"), [("paired-folder", "path"), ("synthetic", "clean"), ("unpaired", "path")]
)
def test_data_that_are_not_there_are_named_at_their_place(tmp_path, dataset, key):
    line = f"datasets: [{{name: {dataset}, options: {{{key}: nowhere}}}}]"
    (tmp_path / "s.yaml").write_text(f"suite: s\ntasks: [noisy]\n{line}\n")
    with pytest.raises(MissingResource) as caught:
        prepare(str(tmp_path / "s.yaml"), Settings())
    where = f"{tmp_path / 's.yaml'}:3:{line.index(key + ':') + 1}: datasets[0].options.{key}: "
    assert str(caught.value).startswith(f"{where}{tmp_path / 'nowhere'}: no such ")


def test_a_large_suite_within_the_limits_is_read():
    """The limits are no lower than what they say."""
    nested: object = "x"
    for _ in range(MAX_DEPTH - 5):
        nested = [nested]
    names = ", ".join(["x"] * (MAX_NODES - 500))
    loaded = suites.loads(MINIMAL + f"variables: {{deep: {nested}, many: [{names}]}}\n".replace("'", ""))
    assert len(loaded.suite.variables["many"]) == MAX_NODES - 500
