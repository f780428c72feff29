"""What training shares between plugins: configuration, folders that are kept, and data, with a tiny stage."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from filelock import FileLock

from restorebench import RestorebenchError
from restorebench.toolbox import images, weights
from restorebench.training import data, packing, sources, validating
from restorebench.training.config import Average, Training, load
from restorebench.training.loop import train
from restorebench.training.optimising import Averaged, Lion, base_rates, optimiser_of, rate
from tests.waiting import PATIENCE_SECONDS, wait_for


class Line:
    """A line through the mean of the degraded image."""

    def __init__(self, options, fails_at=None):
        self.options, self.fails_at = options, fails_at
        self.source, self.validation = sources.opened(options)
        self.module = torch.nn.Linear(1, 1)
        torch.nn.init.ones_(self.module.weight)

    def batches(self, first, rank, world):
        patches = data.Patches(data.Pairs(self.source, self.options), 8)
        return data.batches(patches, self.options.batch_size, first, rank, world, self.options.workers)

    def loss(self, module, batch, device):
        found = (module(batch["degraded"].mean((1, 2, 3))[:, None]) ** 2).mean()
        return (found * float("nan") if self.fails_at in batch["number"].tolist() else found), {}

    def after_step(self):
        pass

    def validate(self, module, folder, device):
        return {"pairs": float(len(list(self.validation.validation(2))))}

    def published(self, module):
        return dict(module.state_dict())


@pytest.fixture
def pairs(tmp_path):
    for task in ("noisy", "hazy"):
        for side in ("LQ", "GT"):
            (tmp_path / "pairs" / task / side).mkdir(parents=True)
            for name in "ab":
                path = tmp_path / "pairs" / task / side / f"{name}.png"
                images.write_png(path, np.full((12, 12, 3), 0.5, np.float32))
    return tmp_path / "pairs"


@pytest.fixture
def options(pairs, tmp_path):
    def make(**given):
        base = {"output": tmp_path / "out", "data": {"pairs": pairs}, "iterations": 2, "batch_size": 2}
        return Training(**base | {"schedule": "constant"} | given)

    return make


def go(options, told=None, **given):
    return train(Line(options, **given), options, (told if told is not None else []).append)


def test_tasks_are_those_of_the_folders(options):
    assert sorted(Line(options()).source.tasks) == ["hazy", "noisy"]


def test_another_number_of_processes_is_refused(options, tmp_path):
    go(options())
    path = tmp_path / "out" / "checkpoint.pt"
    state = torch.load(path, weights_only=True)
    state["options"] = json.dumps(json.loads(state["options"]) | {"processes": 2})
    torch.save(state, path)
    with pytest.raises(RestorebenchError, match="processes was 2, is 1"):
        go(options(iterations=3))


def test_the_rate_may_change_and_other_keys_are_named(options):
    go(options())
    told = []
    go(options(iterations=3, learning_rate=1e-5, precision="bf16"), told)
    assert told[0] == "going on with learning_rate 0.0002 -> 1e-05, precision fp32 -> bf16"
    with pytest.raises(RestorebenchError, match=r"another configuration \(weight_decay was 0\.0, is 0\.5\)"):
        go(options(iterations=4, weight_decay=0.5))


def test_a_run_that_was_begun_before_there_were_such_options_goes_on(options, tmp_path):
    go(options())
    path = tmp_path / "out" / "checkpoint.pt"
    state = torch.load(path, weights_only=True)
    known = json.loads(state["options"])
    state["options"] = json.dumps(
        {name: value for name, value in known.items() if name not in ("rates", "periods")}
    )
    torch.save(state, path)
    entries = go(options(iterations=3))
    assert entries[-1]["iteration"] == 3


def test_missing_weights_of_a_finished_run_come_again(options, tmp_path):
    go(options())
    (tmp_path / "out" / "weights.pth").unlink()
    go(options())
    assert (tmp_path / "out" / "weights.pth").is_file()


@pytest.mark.parametrize("hidden", [False, True])
def test_a_killed_process_of_the_loader_is_no_full_disk(options, monkeypatch, hidden):
    def interrupted(held, path):
        try:
            raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.")
        finally:
            if hidden:  # as where torch closes an archive
                raise RuntimeError("unexpected pos 64 vs 0")

    monkeypatch.setattr(torch, "save", interrupted)
    with pytest.raises(RestorebenchError, match="a process that prepares data was killed"):
        go(options())


@pytest.mark.parametrize("iterations", [1, 2])
def test_a_finished_run_says_so_and_where_its_files_are(options, tmp_path, iterations):
    go(options())
    told = []
    train(Line(options()), options(iterations=iterations), told.append)
    assert told == [f"finished already, after 2 iterations; the weights are in {tmp_path / 'out'}"]


def test_a_folder_in_use_is_refused(options, tmp_path):
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / ".lock"), pytest.raises(RestorebenchError, match="another training runs"):
        go(options())


def test_a_loss_that_is_no_number_stops_the_run(options):
    with pytest.raises(RestorebenchError, match="iteration 2: the loss is not finite"):
        go(options(), fails_at=2)


def test_weights_that_are_no_numbers_are_not_saved(options, tmp_path):
    go(options())
    before = (tmp_path / "out" / "checkpoint.pt").read_bytes()
    longer = options(iterations=3)
    stage = Line(longer)
    stage.after_step = lambda: stage.module.weight.data.fill_(float("nan"))
    with pytest.raises(RestorebenchError, match="iteration 3: the weights are not finite"):
        train(stage, longer, lambda text: None)
    assert (tmp_path / "out" / "checkpoint.pt").read_bytes() == before


@pytest.mark.parametrize("held", [b"", b"junk", b"PK\x03\x04 cut"])
def test_a_damaged_checkpoint_is_one_line(options, tmp_path, held):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "checkpoint.pt").write_bytes(held)
    with pytest.raises(RestorebenchError, match=r"checkpoint\.pt: not a checkpoint of this training"):
        go(options())


def test_an_output_that_is_a_file_is_one_line(options, tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(RestorebenchError, match="out: cannot be written"):
        go(options())


def test_lines_of_history_that_are_no_entries_are_left_out(options, tmp_path):
    go(options())
    with (tmp_path / "out" / "history.jsonl").open("a") as stream:
        stream.write("5\n{}\n")
    assert [entry["iteration"] for entry in go(options(iterations=3))] == [1, 2, 3]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_image_is_the_same_line_with_workers(options, pairs, workers):
    chosen = options(workers=workers, batch_size=16)
    stage = Line(chosen)
    for path in pairs.glob("*/LQ/a.png"):
        path.write_bytes(b"no image")
    with pytest.raises(RestorebenchError) as caught:
        train(stage, chosen, lambda text: None)
    assert "\n" not in str(caught.value)
    assert "Caught" not in str(caught.value)


def kill_children(process):
    """Kill the processes that prepare data for a training."""
    for child in Path(f"/proc/{process}/task/{process}/children").read_text().split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(child), signal.SIGKILL)


def test_a_killed_process_of_the_loader_is_one_line_and_the_checkpoint_stays(pairs, tmp_path):
    """In a process of its own: torch tells of it from a handler of signals, perhaps also when all is over."""
    sizes = {"image_size": 32, "patch_size": 8, "width": 64, "layers": 1, "embedding": 16, "batch_size": 4}
    data = {"clean": str(pairs / "noisy" / "GT"), "tasks": ["noisy"]}
    told = {"output": str(tmp_path / "out"), "data": data, "iterations": 10**6, "save_every": 1, "workers": 1}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(told | sizes))
    command = [sys.executable, "-m", "restorebench_daclip.train", "tower", str(tmp_path / "c.yaml")]
    checkpoint = tmp_path / "out" / "checkpoint.pt"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as training:
        try:
            wait_for(lambda: checkpoint.exists() or training.poll() is not None)
            # A process that is killed just when its work is done is not missed: kill until one is.
            wait_for(lambda: training.poll() is not None or kill_children(training.pid))
            _, error = training.communicate(timeout=PATIENCE_SECONDS)
        finally:
            training.kill()
    assert training.returncode == 1
    assert error.startswith("error: a process that prepares data was killed") and error.count("\n") == 1
    assert torch.load(checkpoint, weights_only=True)["iteration"] >= 1


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        (
            "DataLoader worker (pid 7) is killed by signal: Killed. ",
            RestorebenchError,
            "that prepares data was killed",
        ),
        ("shapes differ", RuntimeError, "shapes differ"),
    ],
)
def test_torch_tells_of_a_killed_process_out_of_any_line(options, text, kind, message):
    chosen = options()
    stage = Line(chosen)

    def interrupted():
        raise RuntimeError(text)

    stage.after_step = interrupted
    with pytest.raises(kind, match=message) as caught:
        train(stage, chosen, lambda text: None)
    assert isinstance(caught.value, kind)
    assert "\n" not in str(caught.value)


def test_data_that_do_not_fit_are_found_at_the_start(options, pairs):
    with pytest.raises(RestorebenchError, match="nowhere"):
        Line(options(validation={"pairs": pairs / "nowhere"}))
    images.write_png(pairs / "noisy" / "LQ" / "a.png", np.zeros((8, 12, 3), np.float32))
    with pytest.raises(RestorebenchError, match=r"a\.png: 8 x 12, but its clean image is 12 x 12"):
        Line(options())
    (pairs / "hazy" / "LQ" / "a.jpg").write_bytes((pairs / "hazy" / "LQ" / "a.png").read_bytes())
    with pytest.raises(RestorebenchError, match=r"a\.(jpg|png) and a\.(png|jpg) share a stem"):
        Line(options(data={"pairs": pairs, "tasks": ["hazy"]}))


GOOD = "output: x\niterations: 1\ndata: {clean: embedded}\n"


@pytest.mark.parametrize(
    ("text", "change", "message"),
    [
        (GOOD, "average", "--set average: expected key=value, for instance --set batch_size=8"),
        (GOOD, "output.x=1", "--set output.x: output: expected keys"),
        (GOOD, "betas=[0.9,1.5]", "--set betas.1: "),
        (GOOD, "learning_rate=.inf", "--set learning_rate: "),
        (GOOD, "data.nonesuch=1", "--set data.nonesuch: Extra inputs"),
        (GOOD, "data.clean=null", "config.yaml: data: Value error, give either"),
        (GOOD + "patch: 3\n", "seed=1", "config.yaml: patch: Extra inputs"),
        (
            "iterations: 1\ndata: {clean: embedded}\n",
            "seed=1",
            "output: Field required; give it there, or by --set",
        ),
        (GOOD, "learning_rate=1e38", "learning_rate: "),
        (GOOD, "seed=[", "--set seed=[: not valid YAML"),
        ("- 1", "seed=1", "config.yaml: expected keys"),
        ("\xff", "seed=1", "is not UTF-8 text"),
    ],
)
def test_bad_configurations_and_overrides_are_one_line(tmp_path, text, change, message):
    (tmp_path / "config.yaml").write_text(text, encoding="latin-1")
    with pytest.raises(RestorebenchError) as caught:
        load(tmp_path / "config.yaml", Training, [change])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_overrides_fill_what_is_empty_and_the_last_one_wins(tmp_path):
    (tmp_path / "config.yaml").write_text("output: x\niterations: 1\ndata:\n")
    given = ["data.clean=embedded", "average=null", "average.decay=0.5"]
    options = load(tmp_path / "config.yaml", Training, given)
    assert options.data.clean == "embedded"
    assert options.average.decay == 0.5
    assert load(tmp_path / "config.yaml", Training, [*given, "average=null"]).average is None


def test_images_without_a_partner_are_named(tmp_path):
    for side, names in (("LQ", "ab"), ("GT", "a")):
        (tmp_path / "noisy" / side).mkdir(parents=True)
        for name in names:
            images.write_png(tmp_path / "noisy" / side / f"{name}.png", np.zeros((8, 8, 3), np.float32))
    with pytest.raises(RestorebenchError, match="'b' and 0 more lack a partner"):
        sources.Folders(tmp_path, ("noisy",), None)


def lines(options):
    """Give pairs whose images tell which they are: the draw's number in the first pixel."""

    class Told:
        tasks = ("noisy", "hazy")
        calls = 0

        def pair(self, task, rng):
            self.calls += 1
            clean = np.zeros((4, 4, 3), np.float32)
            degraded = np.full((4, 4, 3), rng.integers(256) / 255, np.float32)
            return sources.Pair(degraded, clean, task, "x")

    return data.Pairs(Told(), options)


def test_held_pairs_serve_several_samples_and_any_process_sees_the_same(options, pairs):
    held = lines(options(data={"pairs": pairs, "reuse": {"slots": 4, "uses": 3}}))
    numbers = [held.number(sample) for sample in range(48)]
    assert max(numbers.count(number) for number in numbers) == 3
    assert [number % 4 for number in numbers] == [sample % 4 for sample in range(48)]
    changes = [sum(numbers[4 * v + s] != numbers[4 * v + s - 4] for s in range(4)) for v in range(1, 12)]
    assert set(changes) == {1, 2}, "slots change in turn"
    one = [held[sample].degraded[0, 0, 0] for sample in range(48)]
    assert held.source.calls == len(set(numbers))
    other = lines(options(data={"pairs": pairs, "reuse": {"slots": 4, "uses": 3}}))
    assert [other[sample].degraded[0, 0, 0] for sample in reversed(range(48))] == one[::-1]
    assert [held[sample].task for sample in range(4)] == [0, 1, 0, 1]


def test_held_pairs_keep_what_8_bits_cannot(options, pairs):
    fine = data._packed(np.full((2, 2, 3), 1 / 65535, np.float32))
    assert fine.dtype == np.float32
    assert data._packed(np.full((2, 2, 3), 7 / np.float32(255), np.float32)).dtype == np.uint8


def test_a_share_of_inputs_is_left_clean(options, pairs):
    drawn = lines(options(data={"pairs": pairs, "clean_share": 0.25}))
    found = [drawn[sample] for sample in range(400)]
    clean = [pair for pair in found if pair.task == 2]
    assert 70 < len(clean) < 130
    assert all(np.array_equal(pair.degraded, pair.clean) for pair in clean)


def test_rates_rise_then_fall(options):
    falling = options(schedule="cosine", iterations=100, warm_up=10, learning_rate=1.0, least_rate=0.1)
    rates = [rate(falling, iteration) for iteration in range(1, 101)]
    assert rates[4] == 0.5
    assert max(rates) == rates[9] == 1.0
    assert all(later < earlier for earlier, later in pairwise(rates[10:]))
    assert rates[-1] == pytest.approx(0.1, abs=1e-3)
    halving = options(schedule="multistep", milestones=(2, 4), learning_rate=1.0)
    assert [rate(halving, iteration) for iteration in range(1, 6)] == [1, 1, 0.5, 0.5, 0.25]
    told = options(schedule="multistep", milestones=(2, (4, 0.1)), learning_rate=1.0)
    assert [rate(told, iteration) for iteration in range(1, 6)] == [1, 1, 0.5, 0.5, 0.05]


def test_a_rate_that_restarts_ends_each_period_at_its_least(options):
    """As measured on the published code, whose first least rate is above the rate itself."""
    again = options(schedule="restarts", periods=((306_000, 3e-4), (694_000, 1e-6)), learning_rate=2e-4)
    measured = {
        0: (2e-4, 1e-4),
        1000: (0.00020000263507564134, 0.00010000527015128268),
        153_000: (2.5e-4, 2e-4),
        306_000: (3e-4, 3e-4),
        306_001: (0.00019999999999898053, 9.999999999949283e-05),
        500_000: (0.00016403467679238938, 8.210770352988216e-05),
        1_000_000: (1e-6, 1e-6),
    }
    for done, expected in measured.items():
        found = rate(again, done + 1), rate(again, done + 1, 1e-4)
        assert found == pytest.approx(expected, rel=1e-9)
    assert rate(again, 2_000_000) == 1e-6
    with pytest.raises(ValueError, match="periods: they belong to"):
        options(periods=((10, 0.0),))
    with pytest.raises(ValueError, match="periods: they belong to"):
        options(schedule="restarts")


def test_parameters_may_have_a_rate_by_a_part_of_their_name(options):
    """A step of Lion is as long as the rate, whatever the gradient."""
    module = torch.nn.ModuleDict({"slow": torch.nn.Linear(2, 2), "fast": torch.nn.Linear(2, 2)})
    before = {name: value.clone() for name, value in module.named_parameters()}
    chosen = options(optimiser="lion", learning_rate=0.5, rates={"slow": 0.125}, schedule="constant")
    optimiser = optimiser_of(module, chosen)
    for group, base in zip(optimiser.param_groups, base_rates(chosen), strict=True):
        group["lr"] = rate(chosen, 1, base)
    (module["slow"](torch.ones(1, 2)) + module["fast"](torch.ones(1, 2))).sum().backward()
    optimiser.step()
    for name, value in module.named_parameters():
        assert torch.allclose(before[name] - value, torch.tensor(0.125 if "slow" in name else 0.5))
    with pytest.raises(RestorebenchError, match=r"rates: no parameter has 'other' in its name"):
        optimiser_of(module, options(rates={"other": 0.1}))


def test_the_average_has_the_statistics_of_what_it_averages():
    module = torch.nn.BatchNorm1d(2)
    average = Averaged(module, Average(decay=0.9, every=2, start=0))
    for iteration in (1, 2):
        module(torch.rand(4, 2) + 5)
        average.update(module, iteration)
        same = torch.equal(average.module.running_mean, module.running_mean)
        assert same == (iteration == 2), "only where it is updated"
    assert int(average.module.num_batches_tracked) == 2
    module(torch.rand(4, 2))
    assert not torch.equal(average.module.running_mean, module.running_mean), "a copy"


class Dimmed:
    """Two pairs of one photograph under two tasks, at half its light and as it is."""

    tasks = ("noisy", "hazy")

    def validation(self, count):
        clean = np.full((300, 20, 3), 0.5, np.float32)
        for number in range(count):
            degraded = images.quantise(clean * (0.5 if number % 2 == 0 else 1))
            yield sources.Pair(degraded, clean, number % 2, f"{self.tasks[number % 2]}/a")


def test_centres_are_scored_by_task_and_shown(tmp_path):
    found = validating.restore_centres(Dimmed(), 2, lambda degraded, pair: degraded + 0.25, tmp_path / "new")
    assert images.read_size(tmp_path / "new" / "noisy-a.png") == (256, 60)
    # 0.25 and 0.5 in grey levels of 8 bits: errors of a quarter, or next to nothing
    dark, light = found["gain/noisy"], found["gain/hazy"]
    assert dark > 40
    assert light < -40
    assert found["gain"] == pytest.approx((dark + light) / 2)


def test_lion_steps_by_the_sign():
    parameter = torch.nn.Parameter(torch.tensor([1.0, -1.0]))
    optimiser = Lion([{"params": [parameter]}], lr=0.1, betas=(0.9, 0.99), weight_decay=0.0)
    parameter.grad = torch.tensor([5.0, -0.001])
    optimiser.step()
    assert parameter.tolist() == pytest.approx([0.9, -0.9])


def test_every_option_has_a_default_or_is_asked_for():
    required = {name for name, field in Training.model_fields.items() if field.is_required()}
    assert required == {"output", "data", "iterations"}


# ---------------------------------------------------------------- packing


def test_a_run_is_packed_with_its_notes_and_a_card(options, pairs, tmp_path, capsys):
    chosen = options(data={"clean": str(pairs / "noisy" / "GT")}, average={"every": 1, "start": 0, "decay": 0.5})
    stage = Line(chosen)
    stage.published = lambda module: {
        "state_dict": {"a.weight": module.weight, "b.weight": module.weight},
        "notes": {"steps": 7},
    }
    train(stage, chosen, lambda text: None)
    target = tmp_path / "packed.safetensors"
    packing.main([str(chosen.output), str(target), "--half"])
    assert weights.notes(target) == {"steps": 7}
    held = weights.read(target)
    assert list(held) == ["a.weight"], "one tensor under two names is kept once"
    averaged = weights.read(chosen.output / "weights_average.pth")["a.weight"]
    assert torch.equal(held["a.weight"], averaged.half())
    told = capsys.readouterr().out
    assert "1 number," in told
    assert "photographs: 2" in told
    assert str(tmp_path) not in told


def test_packing_says_in_one_line_what_is_wrong(options, tmp_path):
    with pytest.raises(SystemExit, match=r"error: .*checkpoint\.pt: no such file"):
        packing.main([str(tmp_path), str(tmp_path / "x.safetensors")])
    torch.save({"state_dict": {"a": torch.tensor([1e6])}}, tmp_path / "w.pth")
    with pytest.raises(RestorebenchError, match="a does not fit float16"):
        packing.pack(tmp_path / "w.pth", tmp_path / "x.safetensors", half=True)
    for half in (False, True):
        torch.save({"state_dict": {"a": torch.tensor([float("nan")])}}, tmp_path / "w.pth")
        with pytest.raises(RestorebenchError, match=r"w\.pth: a holds NaN or infinity"):
            packing.pack(tmp_path / "w.pth", tmp_path / "x.safetensors", half=half)
    assert not (tmp_path / "x.safetensors").exists()


def spoilt(run, change):
    if change == "target":
        return run / "nowhere" / "x.safetensors", "nowhere/x\\.safetensors: cannot be written"
    if change == "history":
        (run / "history.jsonl").unlink()
        return run / "x.safetensors", "history\\.jsonl: no such file"
    (run / "checkpoint.pt").write_bytes(b"junk" if change == "junk" else b"")
    return run / "x.safetensors", "checkpoint\\.pt: not a checkpoint of a training"


@pytest.mark.parametrize("change", ["target", "history", "junk", "empty"])
def test_a_run_that_cannot_be_packed_is_one_line(options, pairs, change):
    chosen = options(data={"clean": str(pairs / "noisy" / "GT")})
    go(chosen)
    target, message = spoilt(chosen.output, change)
    with pytest.raises(SystemExit, match=f"^error: .*{message}") as caught:
        packing.main([str(chosen.output), str(target)])
    assert not target.exists()
    assert "\n" not in str(caught.value)


def test_weights_are_packed_under_a_name_that_is_read(options, pairs):
    chosen = options(data={"clean": str(pairs / "noisy" / "GT")})
    go(chosen)
    with pytest.raises(SystemExit, match=r"^error: .*x\.pth: packed weights are \.safetensors; name the file so$"):
        packing.main([str(chosen.output), str(chosen.output / "x.pth")])
    assert not (chosen.output / "x.pth").exists()


def test_a_card_shows_what_the_checkpoint_has_seen(options, pairs, capsys):
    chosen = options(data={"clean": str(pairs / "noisy" / "GT")})
    go(chosen)
    with (chosen.output / "history.jsonl").open("a") as stream:
        stream.write('{"iteration": 3, "loss": 12345.0}\n{"iteration": 4, "lo')  # logged, then killed
    packing.main([str(chosen.output), str(chosen.output / "x.safetensors")])
    told = capsys.readouterr().out
    assert "iterations: 2" in told
    assert "| 2 |" in told
    assert "12345" not in told  # no time of a step has so many digits before its point


def test_varied_photographs_stay_photographs():
    clean = np.linspace(0, 1, 60 * 80 * 3, dtype=np.float32).reshape(60, 80, 3)
    one, again, other = (sources.varied(clean, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert one.shape != other.shape or not np.array_equal(one, other)
    assert 48 <= one.shape[0] <= 60
    assert np.array_equal(one, images.quantise(one)), "it has 8 bits"
    assert one.min() >= 0
    assert one.max() <= 1


def test_pairs_cannot_be_varied(options, pairs):
    with pytest.raises(ValueError, match="vary: pairs are degraded already"):
        options(data={"pairs": pairs, "vary": True})


def test_varied_photographs_are_what_is_degraded(pairs, options):
    drawn = sources.source(options(data={"clean": pairs / "noisy" / "GT", "vary": True}).data)
    pair = drawn.pair(0, np.random.default_rng(0))
    assert pair.degraded.shape == pair.clean.shape
    still = sources.source(options(data={"clean": pairs / "noisy" / "GT"}).data)
    assert still.pair(0, np.random.default_rng(0)).clean.shape == (12, 12, 3)
