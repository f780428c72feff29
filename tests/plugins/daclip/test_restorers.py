"""The restorers and the detector as the host sees them."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from pydantic import ValidationError
from restorebench_daclip import checkpoint
from restorebench_daclip.controller import Controller
from restorebench_daclip.detector import DACLIPDetector
from restorebench_daclip.layers import LinearAttention
from restorebench_daclip.options import DACLIPDetection, DACLIPRestoration, OfTraining, Sampling, SingleTask
from restorebench_daclip.restorers import DACLIPIRSDE, IRSDE
from restorebench_daclip.sampling import Sampler, bind_unet
from restorebench_daclip.unet import UNet, UNetConfig

from restorebench import (
    TEN,
    TEN_NAMES,
    Batch,
    ContractViolation,
    Detection,
    Fallback,
    RestorebenchError,
    Runtime,
    Task,
)
from restorebench.testing import checks
from restorebench.toolbox import images
from tests.parity.daclip.fixtures import fill

NAMES = [("restorer", "daclip-irsde"), ("restorer", "ir-sde"), ("restorer", "refusion"), ("detector", "daclip")]


@pytest.mark.parametrize("check", [check for kind, name in NAMES for check in checks(kind, name)], ids=str)
def test_conformance(check):
    check()


def runtime(tmp_path, tasks=TEN):
    return Runtime("cpu", 1, tmp_path, {}, True, tasks, lambda kind, name: None)


def batch(count=2, side=24, told=None):
    images = torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0))
    return Batch(images, told or (None,) * count, tuple(range(count)), (side, side))


def options(**given):
    return DACLIPRestoration(**{"weights": "untrained", "prediction": "data", "steps": 2, **given})


# ---------------------------------------------------------------- contexts


def test_contexts_come_from_the_whole_image_in_every_tile(tmp_path):
    restorer = DACLIPIRSDE(options(), runtime(tmp_path))
    given = batch(side=64)
    tile = Batch(given.degraded[..., :32, :32], given.told, given.keys, (64, 64), (0, 0), whole=given.degraded)
    for whole, part in zip(restorer.contexts(given), restorer.contexts(tile), strict=True):
        assert torch.equal(whole, part)


def test_told_contexts_are_the_words_of_the_told_task(tmp_path):
    restorer = DACLIPIRSDE(options(contexts="told"), runtime(tmp_path))
    told = (Detection(frozenset({"hazy"})), Detection(frozenset({"rainy", "hazy"})))
    features = restorer.contexts(batch(told=told))
    assert torch.allclose(features.degradation, restorer.controller.encode_text(["hazy", "hazy, rainy"]))
    seen = DACLIPIRSDE(options(), runtime(tmp_path)).contexts(batch(told=told))
    assert torch.equal(features.image, seen.image)
    assert not torch.equal(features.degradation, seen.degradation)


def test_being_told_is_refused_where_it_would_change_nothing(tmp_path):
    wild = UNet(
        UNetConfig(features=32, multipliers=(1, 1, 1, 1), context=32, degradation_context=False, scale=0.5)
    )
    torch.save(wild.state_dict(), tmp_path / "u.pth")
    torch.save(Controller.of(checkpoint.TINY_CONTROLLER).state_dict(), tmp_path / "c.pt")
    files = {"weights": tmp_path / "u.pth", "controller": tmp_path / "c.pt"}
    with pytest.raises(RestorebenchError, match=r"contexts: told changes nothing for .*this variant has no"):
        DACLIPIRSDE(options(**files, contexts="told"), runtime(tmp_path))


def test_a_label_that_is_no_task_is_refused_and_none_is_clean(tmp_path):
    restorer = DACLIPIRSDE(options(contexts="told"), runtime(tmp_path))
    features = restorer.contexts(batch(count=1, told=(Detection(frozenset()),)))
    assert torch.allclose(features.degradation, restorer.controller.encode_text(["clean"]))
    with pytest.raises(RestorebenchError, match="told 'foggy', which is no task here; there are motion-blurry"):
        restorer.contexts(batch(count=1, told=(Detection(frozenset({"foggy"})),)))


def test_weights_say_how_they_were_trained(tmp_path):
    notes = {"prediction": "data", "trained_steps": 50, "max_sigma": 30.0}
    unet = UNet(checkpoint.TINY_IR_SDE)
    torch.save({"state_dict": unet.state_dict(), "notes": notes}, tmp_path / "u.pth")
    silent, aloud = (
        IRSDE(SingleTask(weights=tmp_path / "u.pth", **said), runtime(tmp_path)) for said in ({}, notes)
    )
    assert silent.sampler.trained == aloud.sampler.trained == OfTraining("data", 50, 30.0)
    with pytest.raises(RestorebenchError, match=r"max_sigma: 50\.0, but .*u\.pth was trained with 30\.0"):
        IRSDE(SingleTask(weights=tmp_path / "u.pth", max_sigma=50), runtime(tmp_path))
    torch.save(unet.state_dict(), tmp_path / "published.pth")
    published = IRSDE(SingleTask(weights=tmp_path / "published.pth"), runtime(tmp_path))
    assert published.sampler.trained == OfTraining("noise", 100, 50.0)


def test_told_contexts_need_somebody_who_tells(tmp_path):
    restorer = DACLIPIRSDE(options(contexts="told"), runtime(tmp_path))
    with pytest.raises(RestorebenchError, match="needs a suite that tells"):
        restorer.restore(batch())


def test_a_controller_of_another_variant_is_refused(tmp_path):
    torch.save(
        UNet(UNetConfig(features=32, multipliers=(1, 1, 1, 1), context=96)).state_dict(), tmp_path / "u.pth"
    )
    torch.save(Controller.of(checkpoint.TINY_CONTROLLER).state_dict(), tmp_path / "c.pt")
    chosen = options(weights=tmp_path / "u.pth", controller=tmp_path / "c.pt")
    with pytest.raises(RestorebenchError, match=r"contexts of 96 values, but the controller .* gives 32"):
        DACLIPIRSDE(chosen, runtime(tmp_path))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"weights": "u.pth"}, "need `controller`"),
        ({"weights": "universal-ir.pth"}, "need `controller`"),
        ({"weights": "wild-ir", "controller": "c.pt"}, "wild-ir has its own"),
    ],
)
def test_half_a_pair_of_files_is_refused(given, message):
    with pytest.raises(ValidationError, match=message):
        DACLIPRestoration(**given)


def test_the_controller_beside_a_u_net_of_a_published_name_is_found(tmp_path):
    for name in ("daclip_ViT-B-32.pt", "mine.pt"):
        (tmp_path / name).touch()
    weights = tmp_path / "universal-ir.pth"
    assert DACLIPRestoration(weights=weights).controller == tmp_path / "daclip_ViT-B-32.pt"
    assert DACLIPRestoration(weights=weights, controller=tmp_path / "mine.pt").controller == tmp_path / "mine.pt"


# ---------------------------------------------------------------- sampling


@pytest.mark.parametrize("sampler", ["posterior", "sde", "ode", "multistep-ode", "multistep-sde"])
@pytest.mark.parametrize("prediction", ["noise", "data"])
def test_every_sampler_takes_either_head_and_no_more_evaluations_than_asked(tmp_path, sampler, prediction):
    given, count = batch(side=16), []
    sampling = Sampling(sampler=sampler, prediction=prediction, steps=5)
    steering = Sampler(sampling, "cpu")

    def evaluate(state, index):
        count.append(index)
        return torch.zeros_like(state)

    restored = steering(evaluate, given)
    assert restored.shape == given.degraded.shape
    assert torch.isfinite(restored).all()
    assert count == [0, 1, 2, 3, 4]
    assert len(steering.times) == 5
    assert steering.times[0] == 100


def test_hoisting_constant_work_changes_nothing():
    unet = UNet(checkpoint.TINY_UNET)
    fill(unet)  # at first its attention adds nothing
    given, times = batch(side=32), (90.0, 50.0, 1.0)
    conditioning = unet.condition(torch.randn(2, 32), torch.randn(2, 32))
    state = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        bound = bind_unet(unet, given.degraded, times, conditioning)
        for index, time in enumerate(times):
            plain = unet(state, given.degraded, torch.tensor([time]), conditioning)
            # Sums in another order: over 150 draws at most 1.8e-6 of the largest value, in float32.
            assert (bound(state, index) - plain).abs().max() < 1e-5 * plain.abs().max()


def test_steps_of_a_solver_fit_its_schedule():
    with pytest.raises(ValidationError, match="more than the schedule's 100"):
        Sampling(sampler="multistep-ode", steps=101)


def test_nan_of_low_precision_is_repeated_in_fp32_only_if_allowed():
    def evaluate(state, index):
        return state * (float("nan") if torch.is_autocast_enabled("cpu") else 0.0)

    sampling = {"sampler": "multistep-ode", "steps": 2, "precision": "bf16", "prediction": "data"}
    with pytest.raises(ContractViolation, match="bf16 gave NaN or infinite values: set retry_in_fp32"):
        Sampler(Sampling(**sampling), "cpu")(evaluate, batch())
    with pytest.warns(Fallback, match="bf16 gave NaN"):
        restored = Sampler(Sampling(**sampling, retry_in_fp32=True), "cpu")(evaluate, batch())
    assert torch.isfinite(restored).all()


def test_a_repetition_in_fp32_leaves_the_images_beside_alone():
    def evaluate(state, index):
        low = torch.is_autocast_enabled("cpu")
        spoilt = torch.tensor([1.0, float("nan") if low else 1.0])[: len(state), None, None, None]
        return (0.5 if low else 0.4) * state * spoilt

    sampling = Sampling(sampler="multistep-ode", steps=2, precision="bf16", prediction="data", retry_in_fp32=True)
    alone = Sampler(sampling, "cpu")(evaluate, batch(count=1))
    with pytest.warns(Fallback):
        both = Sampler(sampling, "cpu")(evaluate, batch(count=2))
    assert torch.equal(both[0], alone[0])
    assert torch.isfinite(both).all()


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precision_is_near_fp32(tmp_path, precision):
    unet = UNet(checkpoint.TINY_IR_SDE)
    fill(unet)
    torch.save(unet.state_dict(), tmp_path / "u.pth")
    chosen = {"weights": tmp_path / "u.pth", "prediction": "data", "steps": 2}
    with warnings.catch_warnings():
        warnings.simplefilter("error", Fallback)
        one, other = (
            IRSDE(SingleTask(**chosen, precision=each), runtime(tmp_path)).restore(batch())
            for each in ("fp32", precision)
        )
    apart = float((one - other).abs().mean() / one.std())
    assert apart < {"bf16": 0.02, "fp16": 0.003}[precision]


def test_small_shares_of_a_pixel_survive_fp16():
    attention = LinearAttention(8)
    x = torch.randn(1, 8, 256, 256, generator=torch.Generator().manual_seed(0))
    seen = []
    attention.to_out[0].register_forward_pre_hook(lambda _, given: seen.append(given[0].float()))
    with torch.no_grad():
        attention(x)
        with torch.autocast("cpu", torch.float16):
            attention(x)
    assert float((seen[1] - seen[0]).norm() / seen[0].norm()) < 0.02  # 0.7 where both products are in fp16


# ---------------------------------------------------------------- detector


def test_probabilities_are_those_of_the_published_script(tmp_path):
    detector = DACLIPDetector(DACLIPDetection(weights="untrained"), runtime(tmp_path))
    given = batch().degraded
    rows = detector.probabilities(given)
    assert rows.shape == (2, 10)
    assert torch.allclose(rows.sum(1), torch.ones(2))
    verdicts = detector.detect(given)
    for verdict, row in zip(verdicts, rows, strict=True):
        assert verdict.labels == {TEN_NAMES[int(row.argmax())]}
        assert tuple(verdict.probabilities) == TEN_NAMES


def test_the_temperature_divides_the_cosines(tmp_path):
    def rows(**given):
        return DACLIPDetector(DACLIPDetection(weights="untrained", **given), runtime(tmp_path)).probabilities(
            batch().degraded
        )

    usual, warmer = rows(), rows(temperature=0.02)
    assert torch.allclose(warmer, usual.sqrt() / usual.sqrt().sum(-1, keepdim=True), atol=1e-5)
    assert torch.equal(rows(temperature=0.01), usual)


def test_a_new_task_needs_only_a_prompt(tmp_path):
    tasks = (*TEN, Task("mosaic", "Mosaic", "a mosaic"))
    detector = DACLIPDetector(DACLIPDetection(weights="untrained"), runtime(tmp_path, tasks))
    assert detector.names[-1] == "mosaic"
    assert detector.detect(batch().degraded)[0].probabilities.keys() == {*TEN_NAMES, "mosaic"}


def test_it_abstains_below_the_least_probability(tmp_path):
    detector = DACLIPDetector(DACLIPDetection(weights="untrained", least=1.0), runtime(tmp_path))
    assert detector.detect(batch().degraded)[0].labels == frozenset()


def test_prompts_can_be_replaced_for_known_tasks_only(tmp_path):
    one = DACLIPDetector(DACLIPDetection(weights="untrained"), runtime(tmp_path))
    other = DACLIPDetector(DACLIPDetection(weights="untrained", prompts={"hazy": "fog"}), runtime(tmp_path))
    assert not torch.equal(one.texts[1], other.texts[1])
    assert torch.equal(one.texts[2], other.texts[2])
    with pytest.raises(RestorebenchError, match="no task called 'haze'"):
        DACLIPDetector(DACLIPDetection(weights="untrained", prompts={"haze": "fog"}), runtime(tmp_path))


# ---------------------------------------------------------------- commands


def test_files_are_given_on_the_command_line(call, tmp_path):
    torch.save(UNet(checkpoint.TINY_UNET).state_dict(), tmp_path / "u.pth")
    torch.save({"state_dict": Controller.of(checkpoint.TINY_CONTROLLER).state_dict()}, tmp_path / "c.pt")
    images.write_png(tmp_path / "a.png", np.random.default_rng(0).random((24, 31, 3), dtype=np.float32))
    brief = ["--workers", "0", "--option", "prediction=data", "--option", "steps=2", "--option", "controller=c.pt"]
    given = ["restore", "a.png", "-m", "daclip-irsde", "-o", "out", "--weights", "u.pth", *brief]
    assert call(*given)[0] == 0
    assert images.read_size(tmp_path / "out" / "a.png") == (24, 31)
    code, out, _ = call("detect", "a.png", "-m", "daclip", "--weights", "c.pt", "--workers", "0")
    assert code == 0
    assert all(task in out for task in TEN_NAMES)
    code, _, error = call(*given, "--option", "weights=u.pth")
    assert (code, error.count("--weights or --option weights=")) == (2, 1)
    code, out, error = call("detect", "a.png", "-m", "daclip", "--weights", "u.pth", "--workers", "0")
    assert (code, out) == (3, "")
    assert error.splitlines()[-1].startswith("failed: a: ")
    assert error.endswith("this file holds another network\n")


def test_files_go_through_yaml_into_a_leaderboard(call, tmp_path):
    unet, controller = UNet(checkpoint.TINY_UNET), Controller.of(checkpoint.TINY_CONTROLLER)
    fill(unet)
    fill(controller)
    # Smaller weights, as the host refuses rows whose values are far from [0, 1].
    unet.load_state_dict({name: 0.3 * value for name, value in unet.state_dict().items()})
    torch.save(unet.state_dict(), tmp_path / "universal-ir.pth")
    torch.save({"state_dict": controller.state_dict()}, tmp_path / "daclip_ViT-B-32.pt")
    brief = {"weights": "universal-ir.pth", "sampler": "multistep-ode", "steps": 2, "prediction": "data"}
    suite = {
        "suite": "files",
        "tasks": ["noisy", "hazy"],
        "datasets": [{"name": "synthetic", "options": {"clean": "embedded", "crop": 32, "severities": [3]}}],
        "restorers": [
            {"name": "daclip-irsde", "label": "seen", "options": brief},
            {"name": "daclip-irsde", "label": "oracle", "tell": "task", "options": {**brief, "contexts": "told"}},
            {"name": "daclip-irsde", "label": "asked", "tell": "daclip", "options": {**brief, "contexts": "told"}},
        ],
        "detectors": [{"name": "daclip", "options": {"weights": "daclip_ViT-B-32.pt"}}],
    }
    (tmp_path / "files.yaml").write_text(yaml.safe_dump(suite))
    assert call("run", "files.yaml", "-q", "--limit", "2", "--workers", "0")[0] == 0
    rows = pd.read_csv(tmp_path / "runs" / "files" / "leaderboard.csv")
    assert set(rows.restorer) == {"seen", "oracle", "asked"}
    assert rows["psnr@rgb"].notna().all()
    noisy = rows[rows.task == "noisy"].set_index("restorer")["psnr@rgb"]
    assert noisy["seen"] != noisy["oracle"]
    heard = pd.read_csv(tmp_path / "runs" / "files" / "detectors.csv")
    assert heard[heard.task == "noisy"].calibration_error.notna().all()
