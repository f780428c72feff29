"""Both stages learn, go on where they stopped, and write files that the plugins read."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml
from restorebench_daclip import captions, checkpoint
from restorebench_daclip.controller import Controller
from restorebench_daclip.train.__main__ import RECIPES, main
from restorebench_daclip.train.config import ControllerTraining, RestorerTraining, TowerTraining
from restorebench_daclip.train.controller import ControllerStage, crop_window, read_captions
from restorebench_daclip.train.restorer import RestorerStage

from restorebench import TEN, RestorebenchError, Runtime
from restorebench.toolbox import images
from restorebench.toolbox.photographs import embedded
from restorebench.toolbox.seeding import generator
from restorebench.toolbox.synthesis import centre_crop
from restorebench.training.config import Training, load
from restorebench.training.data import Pairs, Patches, batches
from restorebench.training.loop import train
from restorebench.training.optimising import optimiser_of
from restorebench.training.sources import Folders, Synthesis
from tests.parity.daclip.fixtures import fill

TASKS = ("low-light", "noisy", "hazy", "uncompleted")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Eight pairs of 64 px: two photographs under four tasks."""
    root = tmp_path_factory.mktemp("pairs")
    clean = [centre_crop(images.read(path), 64) for path in list(embedded().values())[:2]]
    damages = {
        "low-light": lambda image, rng: 0.2 * image,
        "noisy": lambda image, rng: image + rng.normal(0, 0.2, image.shape),
        "hazy": lambda image, rng: 0.4 * image + 0.55,
        "uncompleted": lambda image, rng: np.where(rng.random((64, 64, 1)) < 0.4, 1.0, image),
    }
    for task, damage in damages.items():
        for index, image in enumerate(clean):
            degraded = damage(image, generator(task, index)).clip(0, 1).astype(np.float32)
            for side, shown in (("LQ", degraded), ("GT", image)):
                (root / task / side).mkdir(parents=True, exist_ok=True)
                images.write_png(root / task / side / f"{index}.png", shown)
    return root


def controller_options(pairs, output, **given):
    return ControllerTraining(
        **{
            "output": output,
            "data": {"pairs": pairs, "tasks": TASKS},
            "pretrained": "untrained",
            "iterations": 60,
            "batch_size": 8,
            "learning_rate": 1e-3,
            "loss": "supervised",
            **given,
        }
    )


def restorer_options(pairs, output, **given):
    return RestorerTraining(
        **{
            "output": output,
            "data": {"pairs": pairs, "tasks": TASKS},
            "controller": "untrained",
            "iterations": 40,
            "batch_size": 4,
            "patch": 32,
            "features": 32,
            "multipliers": (1, 1, 1, 1),
            "prediction": "data",
            **given,
        }
    )


def quiet(text):
    pass


# ---------------------------------------------------------------- learning


def test_the_controller_learns_eight_images(pairs, tmp_path):
    options = controller_options(
        pairs, tmp_path, iterations=60, validation={"pairs": pairs, "tasks": TASKS}, validation_images=8
    )
    history = train(ControllerStage(options, tmp_path), options, quiet)
    trained = [entry["loss"] for entry in history if "loss" in entry]
    assert np.mean(trained[-5:]) < np.mean(trained[:1]) / 5
    assert history[-1]["validation/accuracy"] == 1.0


def test_the_restorer_learns_eight_images(pairs, tmp_path):
    options = restorer_options(pairs, tmp_path, iterations=40, learning_rate=2e-3)
    history = train(RestorerStage(options, tmp_path), options, quiet)
    trained = [entry["loss"] for entry in history if "loss" in entry]
    assert np.mean(trained[-10:]) < 0.6 * np.mean(trained[:3])


@pytest.mark.parametrize("stage", ["controller", "restorer"])
def test_frozen_weights_stay_and_others_move(pairs, tmp_path, stage):
    if stage == "controller":
        options = controller_options(pairs, tmp_path, iterations=2)
        made = ControllerStage(options, tmp_path)
        before = {name: value.clone() for name, value in made.controller.state_dict().items()}
        train(made, options, quiet)
        moved = {
            name for name, value in made.controller.state_dict().items() if not torch.equal(value, before[name])
        }
        assert moved
        assert all(name.startswith("visual_control.") or name == "logit_scale" for name in moved)
    else:
        options = restorer_options(pairs, tmp_path, iterations=2)
        made = RestorerStage(options, tmp_path)
        before = {name: value.clone() for name, value in made.controller.state_dict().items()}
        train(made, options, quiet)
        assert all(torch.equal(value, before[name]) for name, value in made.controller.state_dict().items())


# ---------------------------------------------------------------- going on


@pytest.mark.parametrize("stage", ["controller", "restorer"])
def test_an_interrupted_run_gives_the_same_weights_and_history(pairs, tmp_path, stage):
    make, options = (
        (ControllerStage, controller_options) if stage == "controller" else (RestorerStage, restorer_options)
    )
    extra = {"average": {"every": 2, "start": 2}, "schedule": "constant", "optimiser": "adamw", "accumulate": 2}

    def run(name, *lengths):
        for length in lengths:
            chosen = options(pairs, tmp_path / name, iterations=length, **extra)
            train(make(chosen, tmp_path), chosen, quiet)
        history = [json.loads(line) for line in (tmp_path / name / "history.jsonl").read_text().splitlines()]
        for entry in history:
            del entry["seconds"]
        return torch.load(tmp_path / name / "checkpoint.pt", weights_only=True), history

    (straight, history), (resumed, again) = run("straight", 6), run("resumed", 3, 6)
    assert history == again
    assert [entry["iteration"] for entry in history] == [1, 2, 3, 4, 5, 6]
    for part in ("module", "average"):
        assert all(torch.equal(value, resumed[part][name]) for name, value in straight[part].items())


def test_what_was_logged_after_the_checkpoint_comes_again_once(pairs, tmp_path):
    options = restorer_options(pairs, tmp_path, iterations=2, schedule="constant")
    train(RestorerStage(options, tmp_path), options, quiet)
    with (tmp_path / "history.jsonl").open("a") as stream:
        stream.write(json.dumps({"iteration": 3, "loss": 9.0}) + "\n" + '{"iteration": 4, "lo')
    longer = restorer_options(pairs, tmp_path, iterations=3, schedule="constant")
    history = train(RestorerStage(longer, tmp_path), longer, quiet)
    assert [entry["iteration"] for entry in history] == [1, 2, 3]
    assert history[-1]["loss"] != 9.0


def test_a_folder_of_another_configuration_is_refused(pairs, tmp_path):
    one = restorer_options(pairs, tmp_path, iterations=1)
    train(RestorerStage(one, tmp_path), one, quiet)
    other = restorer_options(pairs, tmp_path, iterations=2, max_sigma=30)
    with pytest.raises(RestorebenchError, match="another configuration"):
        train(RestorerStage(other, tmp_path), other, quiet)


@pytest.mark.parametrize("stage", ["controller", "restorer"])
def test_two_processes_train_as_one_with_twice_the_batch(pairs, tmp_path, stage):
    make, options = (
        (ControllerStage, controller_options) if stage == "controller" else (RestorerStage, restorer_options)
    )
    shared = {"iterations": 3, "validation": {"pairs": pairs, "tasks": TASKS}, "validation_images": 2}
    alone = options(pairs, tmp_path / "alone", batch_size=4, **shared)
    train(make(alone, tmp_path), alone, quiet)
    both = options(pairs, tmp_path / "both", batch_size=2, **shared)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(both.model_dump(mode="json")))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "restorebench_daclip.train", stage, str(tmp_path / "config.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("3/3 loss") == 1  # one of them tells
    one, two = (torch.load(tmp_path / name / "weights.pth", weights_only=True) for name in ("alone", "both"))
    one, two = (each.get("state_dict", each) for each in (one, two))
    assert one.keys() == two.keys()
    apart = torch.cat([(value - two[name]).abs().flatten() for name, value in one.items()])
    # AdamW turns the sign of a gradient that is nearly nothing into a whole step: not every value can agree
    assert float(apart.mean()) < 1e-6


# ---------------------------------------------------------------- files


def test_trained_files_are_read_by_the_plugins(pairs, tmp_path):
    runtime = Runtime("cpu", 1, tmp_path, {}, True, TEN, lambda kind, name: None)
    first = controller_options(pairs, tmp_path / "one", iterations=1)
    train(ControllerStage(first, tmp_path), first, quiet)
    controller = checkpoint.controller_from(tmp_path / "one" / "weights.pth", runtime)
    second = restorer_options(pairs, tmp_path / "two", iterations=1, controller=tmp_path / "one" / "weights.pth")
    train(RestorerStage(second, tmp_path), second, quiet)
    unet = checkpoint.unet_from(tmp_path / "two" / "weights.pth", runtime)
    assert unet.config.context == controller.clip.text_projection.shape[1]


def test_validation_writes_images_and_scores(pairs, tmp_path):
    options = restorer_options(
        pairs,
        tmp_path,
        iterations=2,
        validate_every=1,
        validation={"pairs": pairs, "tasks": TASKS},
        validation_images=4,
    )
    history = train(RestorerStage(options, tmp_path), options, quiet)
    assert {entry["iteration"] for entry in history if "validation/psnr" in entry} == {1, 2}
    written = sorted(path.name for path in (tmp_path / "validation" / "2").iterdir())
    assert written == ["hazy-0.png", "low-light-0.png", "noisy-0.png", "uncompleted-0.png"]


def test_paths_on_the_command_line_are_relative_to_the_working_directory(pairs, tmp_path, monkeypatch):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "config.yaml").write_text("{output: here, iterations: 1, data: {clean: photographs}}")
    monkeypatch.chdir(tmp_path)
    overrides = ["output=there", "controller=untrained", "validation={clean: other}"]
    options = load(tmp_path / "configs" / "config.yaml", RestorerTraining, overrides)
    assert options.output == tmp_path / "there"
    assert options.data.clean == tmp_path / "configs" / "photographs"
    assert options.validation.clean == tmp_path / "other"
    assert options.controller == "untrained"


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_recipes_need_only_paths(path):
    settings = ["output=x", "data.clean=y" if path.stem.startswith("compact") else "data.pairs=y"]
    kind = RestorerTraining
    if path.stem.endswith("controller"):
        kind, settings = ControllerTraining, [*settings, "pretrained=z"]
    elif path.stem.endswith("tower"):
        kind = TowerTraining
    assert load(path, kind, settings).iterations >= 150


def test_a_configuration_that_is_not_there_names_the_recipes(capsys):
    with pytest.raises(SystemExit, match="nowhere: no such file or recipe; the recipes are compact-controller, "):
        main(["restorer", "nowhere"])


@pytest.mark.parametrize("as_published", [False, True])
def test_a_controller_starts_as_clip_or_as_published(as_published):
    images_ = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    controller = Controller.of(checkpoint.TINY_CONTROLLER)
    fill(controller)  # as trained ones, its layer norms are neither one nor zero
    controller.copy_tower(as_published)
    links, norm = controller.visual_control.transformer.zero_modules, controller.clip.visual.ln_post
    with torch.no_grad():
        content, degradation = controller.encode_image(images_)
        plain = controller.encode_plain_image(images_)
    assert not links[1].weight.any()
    assert torch.equal(content, plain) is not as_published
    assert torch.allclose(degradation, plain, atol=1e-5) is not as_published
    if as_published:
        assert all(torch.equal(row, norm.weight) for row in links[0].weight)
        assert torch.equal(links[0].bias, norm.bias)


def test_the_command_reads_yaml_with_paths_relative_to_it(pairs, tmp_path, capsys):
    raw = restorer_options(pairs, "out", iterations=1).model_dump(mode="json")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(raw))
    main(["restorer", str(tmp_path / "config.yaml"), "--set", "iterations=2", "--cache", str(tmp_path)])
    assert "2/2 loss" in capsys.readouterr().out
    assert (tmp_path / "out" / "weights.pth").is_file()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("iterations: [", "not valid YAML"),
        ("iterations: 0", "config.yaml: output: Field required"),
        ("output: x\niterations: 1\ndata: {}", "give either `pairs` or `clean`"),
        ("output: x\niterations: 1\ndata: {clean: y}\nfoo: 1", "foo: Extra inputs"),
    ],
)
def test_bad_configurations_are_one_line(tmp_path, text, message):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(RestorebenchError) as caught:
        load(tmp_path / "config.yaml", RestorerTraining)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- parts


def seeded(pairs):
    return Training(output=pairs, data={"pairs": pairs}, iterations=1, seed=3)


def test_samples_depend_on_their_number_alone(pairs):
    patches = Patches(Pairs(Folders(pairs, TASKS, None), seeded(pairs)), 32)
    one = patches[17]
    again = next(batch for batch in batches(patches, 4, first=4, rank=0, world=1, workers=0))
    index = again["number"].tolist().index(17)
    assert torch.equal(one["degraded"], again["degraded"][index])
    assert one["degraded"].shape == one["clean"].shape == (3, 32, 32)


def test_processes_of_a_world_share_the_numbers_out(pairs):
    patches = Patches(Pairs(Folders(pairs, TASKS, None), seeded(pairs)), 16)
    seen = [
        next(batches(patches, 2, first=5, rank=rank, world=3, workers=0))["number"].tolist() for rank in range(3)
    ]
    assert [number for part in seen for number in part] == list(range(30, 36))


def test_synthesis_degrades_whole_photographs_with_the_benchmarks_own_recipes(tmp_path):
    images.write_png(tmp_path / "a.png", centre_crop(images.read(next(iter(embedded().values()))), 96))
    source = Synthesis(tmp_path, ("noisy", "rainy"), (3,), None)
    pair = source.pair(0, generator(0))
    assert pair.degraded.shape == pair.clean.shape == (96, 96, 3)
    assert 15 < -10 * np.log10(np.mean((pair.degraded - pair.clean) ** 2)) < 21
    assert [each.name for each in source.validation(3)] == ["noisy/a", "rainy/a", "noisy/a"]


def test_captions_are_read_from_the_published_layout(tmp_path):
    path = tmp_path / "captions.csv"
    path.write_text("filepath\ttitle\n/data/noisy/LQ/7.png\ta dog: on a mat: noisy\n")
    assert read_captions(path) == {"noisy/7": "a dog: on a mat"}
    path.write_text("filepath\ttitle\n/data/noisy/LQ/7.png\ta dog\n")
    with pytest.raises(RestorebenchError, match=r"captions\.csv:2: expected"):
        read_captions(path)


def test_captions_of_clean_images_are_written_as_training_reads_them(pairs, tmp_path):
    asked = []

    def brightness(image):
        asked.append(image.size)
        return f"a photograph: of  brightness {np.asarray(image).mean():.0f}"

    rows = captions.write(pairs, tmp_path / "c.csv", brightness)
    assert (rows, len(asked)) == (8, 2)  # the two clean images are the same under all four tasks
    read = read_captions(tmp_path / "c.csv")
    assert read.keys() == {f"{task}/{index}" for task in TASKS for index in range(2)}
    assert read["noisy/0"] == read["hazy/0"]
    assert read["noisy/0"].startswith("a photograph, of brightness ")


def test_captions_without_transformers_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(RestorebenchError, match=r"pip install 'restorebench\[captions\]'"):
        captions.blip()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/a/1.png\tone: noisy\n/b/1.png\ttwo: noisy\n", r":3: a second caption of noisy/1"),
        ("/a/1.png\tone: noisy\tmore\n", ":2: expected"),
    ],
)
def test_rows_of_captions_are_not_dropped(tmp_path, text, message):
    (tmp_path / "c.csv").write_text("filepath\ttitle\n" + text)
    with pytest.raises(RestorebenchError, match=message):
        read_captions(tmp_path / "c.csv")


def test_captions_may_hold_a_quote_and_a_byte_order_mark(tmp_path):
    text = '\ufefffilepath\ttitle\n/a/1.png\t"one: noisy\n/a/2.png\ttwo: noisy\n'
    (tmp_path / "c.csv").write_text(text, encoding="utf-8")
    assert read_captions(tmp_path / "c.csv") == {"noisy/1": '"one', "noisy/2": "two"}


def test_captions_check_partners_and_the_output_before_the_work(pairs, tmp_path):
    with pytest.raises(RestorebenchError, match="nowhere"):
        captions.write(pairs, tmp_path / "nowhere" / "c.csv", lambda image: pytest.fail("captioned"))
    for side, names in (("LQ", "ab"), ("GT", "a")):
        (tmp_path / "noisy" / side).mkdir(parents=True)
        for name in names:
            images.write_png(tmp_path / "noisy" / side / f"{name}.png", np.zeros((8, 8, 3), np.float32))
    with pytest.raises(RestorebenchError, match="'b' and 0 more lack a partner"):
        captions.write(tmp_path, tmp_path / "c.csv", lambda image: pytest.fail("captioned"))


def test_a_missing_caption_is_found_at_the_start(pairs, tmp_path):
    (tmp_path / "c.csv").write_text("filepath\ttitle\nx/0.png\ta: noisy\n")
    with pytest.raises(RestorebenchError, match="none for low-light/0 and 6 more"):
        ControllerStage(controller_options(pairs, tmp_path, captions=tmp_path / "c.csv"), tmp_path)


def test_crops_keep_their_share_and_aspect():
    rng = generator(0)
    for height, width in ((100, 100), (80, 100), (300, 30), (30, 300), (1, 1)):
        for _ in range(50):
            rows, columns = crop_window(height, width, 0.9, rng)
            tall, wide = rows.stop - rows.start, columns.stop - columns.start
            assert 0 <= rows.start < rows.stop <= height
            assert 0 <= columns.start < columns.stop <= width
            assert 0.72 < wide / tall < 1.38
            if max(height, width) <= 100:
                assert tall * wide > 0.88 * height * width


def test_gains_are_not_decayed(pairs, tmp_path):
    options = restorer_options(pairs, tmp_path, weight_decay=0.1)
    module = RestorerStage(options, tmp_path).module
    decayed, others = (group["params"] for group in optimiser_of(module, options).param_groups)
    assert any(parameter.ndim == 4 for parameter in others)
    assert all(max(parameter.shape) < parameter.numel() for parameter in decayed)


def test_captions_add_the_content_term(pairs, tmp_path):
    lines = [f"x/{index}.png\ta photograph {index}: {task}" for task in TASKS for index in range(2)]
    (tmp_path / "c.csv").write_text("\n".join(["filepath\ttitle", *lines]))
    options = controller_options(pairs, tmp_path, iterations=1, captions=tmp_path / "c.csv", loss="contrastive")
    entry = train(ControllerStage(options, tmp_path), options, quiet)[0]
    assert entry["loss"] == pytest.approx(entry["content"] + entry["degradation"], rel=1e-5)


def test_an_architecture_that_is_not_known_names_the_nearest(pairs, tmp_path):
    options = controller_options(pairs, tmp_path, model="ViT-B-33", pretrained=tmp_path / "none.pt")
    with pytest.raises(RestorebenchError, match="open_clip knows no 'ViT-B-33'; nearest: ViT-B-32"):
        ControllerStage(options, tmp_path)


@pytest.mark.parametrize("given", [{"multipliers": ()}, {"multipliers": (0,)}, {"steps": 20_000}])
def test_sizes_out_of_range_are_refused(pairs, tmp_path, given):
    with pytest.raises(ValueError, match=next(iter(given))):
        restorer_options(pairs, tmp_path, **given)
