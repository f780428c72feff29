"""Files: which are taken, which are refused and with what words, and taking tensors out of pickles safely."""

from __future__ import annotations

import os
import pickle
import re
import tarfile
from argparse import Namespace
from collections import OrderedDict

import pytest
import torch
from restorebench_diffbir import checkpoint, convert, key_map, networks, published, stage1
from restorebench_diffbir.loading import cleaner_network, parts
from restorebench_diffbir.networks import TINY
from restorebench_diffbir.options import Restoration, Stage1
from restorebench_diffbir.rrdb import RRDBNet

from restorebench import MissingResource, RestorebenchError


def saved(path, state):
    torch.save(state, path)
    return path


def refused(call, *given):
    """Return the message of a refusal, which is one line."""
    with pytest.raises(RestorebenchError) as caught:
        call(*given)
    message = str(caught.value)
    assert "\n" not in message
    return message


# ---------------------------------------------------------------- names


def test_every_rule_of_names_is_one_to_one():
    """Different published names never meet in one of the library's."""
    names = [f"input_blocks.{block}.0.in_layers.{layer}.weight" for block in (1, 2, 4, 5) for layer in (0, 2)]
    names += [f"output_blocks.{block}.{layer}.conv.weight" for block, layer in ((2, 1), (5, 2), (8, 2))]
    names += [f"input_blocks.{block}.0.op.weight" for block in (3, 6, 9)]
    targets = [key_map.target("unet", name) for name in names]
    assert len({*targets}) == len(names)


def test_unknown_names_are_no_guess():
    with pytest.raises(KeyError):
        key_map.target("unet", "input_blocks.1.0.in_layers.7.weight")
    with pytest.raises(KeyError):
        key_map.target("vae", "encoder.down.0.blocks.0.norm1.weight")


def test_attention_of_the_text_tower_is_cut_in_three():
    state = {"transformer.resblocks.0.attn.in_proj_weight": torch.arange(12.0).view(6, 2)}
    found = dict(key_map.mapped("text", state))
    assert found["encoder.layers.0.self_attn.k_proj.weight"].tolist() == [[4, 5], [6, 7]]
    assert len(found) == 3


def test_the_last_layer_of_the_text_tower_is_left_out():
    assert key_map.target("text", "transformer.resblocks.23.ln_1.weight") is None
    assert key_map.target("text", "transformer.resblocks.22.ln_1.weight") == "encoder.layers.22.layer_norm1.weight"


# ---------------------------------------------------------------- files of stage 1


def test_a_stage_1_file_is_loaded_under_any_usual_wrapping(tmp_path, monkeypatch):
    monkeypatch.setitem(stage1.BUILDERS, "bsrnet", lambda: RRDBNet(4, 1, 4))
    network = RRDBNet(4, 1, 4)
    wrapped = {"state_dict": {f"module.{name}": value for name, value in network.state_dict().items()}}
    found = checkpoint.cleaner("bsrnet", saved(tmp_path / "b.pth", wrapped))
    assert torch.equal(found.conv_last.weight, network.conv_last.weight)


def test_a_file_of_another_cleaner_is_named(tmp_path):
    path = saved(tmp_path / "b.pth", RRDBNet(4, 1, 4).state_dict())
    message = refused(checkpoint.cleaner, "swinir", path)
    assert f"{path}: this is BSRNet; this version and task take SwinIR at an eighth" in message


def test_a_cleaner_of_another_size_is_refused(tmp_path):
    message = refused(checkpoint.cleaner, "bsrnet", saved(tmp_path / "b.pth", RRDBNet(4, 1, 4).state_dict()))
    assert "do not fit RRDBNet" in message


# ---------------------------------------------------------------- files of stage 2


@pytest.fixture
def diffusers():
    pytest.importorskip("transformers", reason="stage 2 is of networks of the extra [diffbir]")
    return pytest.importorskip("diffusers", reason="stage 2 is of networks of the extra [diffbir]")


def branch(channels=8):
    return {
        "zero_convs.0.0.weight": torch.zeros(8, 8, 1, 1),
        "input_blocks.0.0.weight": torch.zeros(8, channels, 3, 3),
    }


def test_a_whole_stable_diffusion_is_no_control_branch(tmp_path):
    path = saved(tmp_path / "sd.pth", {"model.diffusion_model.out.2.weight": torch.zeros(1)})
    assert "this is a whole Stable Diffusion; expected: a control branch" in refused(checkpoint.control, path)


def test_a_control_branch_for_images_is_refused(tmp_path):
    message = refused(checkpoint.control, saved(tmp_path / "c.pth", branch(channels=4)))
    assert "takes no latent of an image" in message
    assert "8 channels" in message


def test_a_control_branch_of_another_base_is_refused(tmp_path, diffusers):
    state = branch() | {"input_blocks.1.0.strange": torch.zeros(1)}
    message = refused(checkpoint.control, saved(tmp_path / "c.pth", state))
    assert "input_blocks.1.0.strange is no tensor of the control of Stable Diffusion 2.1" in message


def test_a_control_branch_is_no_base(tmp_path):
    message = refused(checkpoint.stable_diffusion, saved(tmp_path / "v2.pth", branch()))
    assert (
        "this is a control branch and has no model.diffusion_model.*; expected: a whole Stable Diffusion 2.1"
        in message
    )


def test_a_folder_without_its_parts_says_which_file_is_missing(tmp_path):
    with pytest.raises(MissingResource, match=r"unet/diffusion_pytorch_model\.safetensors: no such file"):
        checkpoint.stable_diffusion(tmp_path)


def test_a_folder_as_diffusers_keeps_it_is_loaded(tmp_path, diffusers):
    made = {"unet": networks.unet(TINY), "vae": networks.vae(TINY), "text": networks.text(TINY)}
    for part, name in (("unet", "unet"), ("vae", "vae"), ("text", "text_encoder")):
        made[part].save_pretrained(tmp_path / name)
    found = checkpoint.stable_diffusion(tmp_path, TINY)
    for part, network in made.items():
        ours, theirs = (dict(each.state_dict()) for each in (found[part], network))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_text_tower_of_a_former_release_is_loaded(tmp_path, diffusers):
    """Names began with `text_model.`, and positions were kept with the tensors."""
    tower = networks.text(TINY)
    state = {f"text_model.{name.removeprefix('text_model.')}": value for name, value in tower.state_dict().items()}
    state["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    found = checkpoint.filled("text", TINY, state)
    ids = torch.zeros(1, 77, dtype=torch.long)
    with torch.no_grad():
        assert torch.equal(found(ids).last_hidden_state, tower.eval()(ids).last_hidden_state)


def test_an_autoencoder_of_a_former_release_is_loaded(tmp_path, diffusers):
    vae = networks.vae(TINY)
    former = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    state = {}
    for name, value in vae.state_dict().items():
        for new, old in former.items():
            if f".attentions.0.{new}." in name:
                name = name.replace(f".{new}.", f".{old}.")
        state[name] = value
    assert state.keys() != vae.state_dict().keys()
    convert.write(tmp_path / "vae.safetensors", state)
    found = checkpoint.parts_of({"vae": tmp_path / "vae.safetensors"}, TINY)["vae"]
    assert all(torch.equal(value, found.state_dict()[name]) for name, value in vae.state_dict().items())


def test_a_file_in_the_original_layout_is_loaded_through_the_map_of_names(tmp_path, monkeypatch, diffusers):
    """A small autoencoder under its published names, beside what else such a file holds, comes back unchanged."""
    vae = networks.vae(TINY)
    modules = ["quant_conv", "post_quant_conv"]
    for side, depth in (("encoder", "down"), ("decoder", "up")):
        modules += [f"{side}.{name}" for name in ("conv_in", "conv_out", "norm_out")]
        modules += [f"{side}.mid.attn_1.{name}" for name in ("norm", "q", "k", "v", "proj_out")]
        blocks = [f"mid.block_{number}" for number in (1, 2)]
        blocks += [f"{depth}.{level}.block.{number}" for level in range(4) for number in range(3)]
        layers = ("norm1", "conv1", "norm2", "conv2", "nin_shortcut")
        modules += [f"{side}.{block}.{layer}" for block in blocks for layer in layers]
        modules += [f"{side}.{depth}.{level}.{depth}sample.conv" for level in range(4)]
    published = [f"{module}.{kind}" for module in modules for kind in ("weight", "bias")]
    names = {key_map.target("vae", name): name for name in published}
    assert len(names) == len(published)
    state = {}
    for name, value in vae.state_dict().items():
        square = ".attentions." in name and value.ndim == 2
        state[f"first_stage_model.{names[name]}"] = value[:, :, None, None] if square else value
    monkeypatch.setattr(checkpoint, "_PREFIXES", {"vae": "first_stage_model."})
    state["model_ema.decay"] = torch.ones(())  # what is beside is left alone
    found = checkpoint.stable_diffusion(saved(tmp_path / "sd.ckpt", {"state_dict": state}), TINY)["vae"]
    assert all(torch.equal(value, found.state_dict()[name]) for name, value in vae.state_dict().items())


# ---------------------------------------------------------------- pickles


class Callback:
    """Something of a training library, pickled beside the tensors."""

    def __init__(self):
        self.best = 1


class Evil:
    def __reduce__(self):
        return os.mkdir, (self.path,)


def lightning(path, extra=None):
    state = OrderedDict(weight=torch.arange(6.0).view(2, 3), bias=torch.zeros(2))
    held = {"state_dict": state, "callbacks": {"a": Callback()}, "hparams": Namespace(a=1), "extra": extra}
    return saved(path, held)


def test_a_checkpoint_that_holds_objects_is_refused_with_the_command_that_helps(tmp_path):
    path = lightning(tmp_path / "sd.ckpt")
    message = refused(checkpoint.read, path)
    command = re.search(r"python -m restorebench_diffbir\.convert (\S+) (\S+),", message)
    assert command[1] == str(path)
    assert command[2] == "sd.safetensors"


def test_converting_takes_the_tensors_alone(tmp_path, capsys):
    source, target = lightning(tmp_path / "sd.ckpt"), tmp_path / "sd.safetensors"
    assert convert.main([str(source), str(target)]) == 0
    assert "2 tensors" in capsys.readouterr().out
    found = checkpoint.read(target)
    assert found["weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found.keys() == {"weight", "bias"}


def test_converting_runs_no_code(tmp_path):
    evil = Evil()
    evil.path = str(tmp_path / "owned")
    path = lightning(tmp_path / "sd.ckpt", evil)
    assert convert.tensors(path).keys() == {"weight", "bias"}
    assert not (tmp_path / "owned").exists()
    torch.load(path, weights_only=False)
    assert (tmp_path / "owned").exists(), "or this test would not notice"


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.int64])
def test_converting_keeps_types_and_shared_memory_apart(tmp_path, kind):
    whole = torch.arange(8).to(kind)
    path = saved(
        tmp_path / "a.pth", {"whole": whole, "half": whole[:4], "parameter": torch.nn.Parameter(torch.ones(1))}
    )
    convert.write(tmp_path / "a.safetensors", convert.tensors(path))
    found = checkpoint.read(tmp_path / "a.safetensors")
    assert found["half"].dtype == kind
    assert found["half"].tolist() == [0, 1, 2, 3]


def old_torch(path):
    torch.save({"a": torch.ones(1)}, path, _use_new_zipfile_serialization=False)


def old_archive(path):
    """Torch would unpack a named pipe from it, and then wait for somebody to write into that."""
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("storages")
        member.type = tarfile.FIFOTYPE
        archive.addfile(member)


@pytest.mark.faults
@pytest.mark.parametrize(
    ("make", "target", "message"),
    [
        (lambda path: path.write_bytes(b"nothing"), "o.safetensors", "a text file, not weights"),
        (lambda path: path.write_bytes(b""), "o.safetensors", "truncated, or no checkpoint at all"),
        (
            lambda path: path.write_bytes(pickle.dumps({"a": 1})),
            "o.safetensors",
            "a pickle that torch did not write",
        ),
        (lambda path: path.mkdir(), "o.safetensors", "a folder; name the file in it"),
        (old_torch, "o.safetensors", "a file of torch before 1.6; save it again"),
        (old_archive, "o.safetensors", "it is not an archive as torch writes it"),
        (lambda path: torch.save({"a": 1}, path), "o.safetensors", "holds no named tensors"),
        (lambda path: torch.jit.script(torch.nn.Identity()).save(path), "o.safetensors", "a compiled program"),
        (lambda path: None, "o.safetensors", "no such file"),
        (
            lambda path: torch.save({"a": torch.ones(1)}, path),
            "o.ckpt",
            "a .safetensors file; give it this suffix",
        ),
        (lambda path: torch.save({"a": torch.ones(1)}, path), "there.safetensors", "exists already"),
        (lambda path: torch.save({"a": torch.ones(1)}, path), "gone/o.safetensors", "gone: no such folder"),
    ],
)
def test_what_cannot_be_converted_is_one_line(tmp_path, capsys, make, target, message):
    make(tmp_path / "i.ckpt")
    (tmp_path / "there.safetensors").write_bytes(b"")
    assert convert.main([str(tmp_path / "i.ckpt"), str(tmp_path / target)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert (tmp_path / "there.safetensors").read_bytes() == b""


def test_a_file_that_cannot_be_written_is_one_line(tmp_path):
    message = refused(convert.write, tmp_path / "gone" / "o.safetensors", {"a": torch.ones(1)})
    assert "o.safetensors: cannot be written" in message


# ---------------------------------------------------------------- published files


def test_a_missing_file_says_what_to_put_where(runtime):
    with pytest.raises(MissingResource) as caught:
        cleaner_network(Stage1(), runtime)
    message = str(caught.value)
    assert "/KAIR/releases/download/v1.0/BSRNet.pth" in message
    assert str(runtime.cache / "weights" / "BSRNet.pth") in message
    with pytest.raises(MissingResource) as caught:
        parts(Restoration(), runtime)
    message = str(caught.value)
    assert "offline" in message
    assert "licence Apache-2.0" in message
    assert str(runtime.cache / "weights" / "v2.pth") in message


def test_a_file_put_in_the_cache_by_hand_is_found(runtime):
    path = runtime.cache / "weights" / "BSRNet.pth"
    path.parent.mkdir(parents=True)
    saved(path, RRDBNet().state_dict())
    assert isinstance(cleaner_network(Stage1(), runtime), RRDBNet)


@pytest.mark.parametrize("version", ["v1", "v2", "v2.1"])
@pytest.mark.parametrize("task", ["bsr", "bfr", "bid"])
def test_every_version_and_task_names_its_files(version, task):
    files = published.files(Restoration(version=version, task=task))
    assert len(files) == (3 if version == "v2.1" else 5)
    assert all(file.licence and file.bytes for file in files)
    assert [published.cleaner_file(Stage1(version=version, task=task))] == [files[0]]


def test_files_that_the_options_name_are_not_asked_for(tmp_path):
    options = {"control": tmp_path / "c", "base": tmp_path / "b"}
    assert [file.name for file in published.files(Restoration(**options))] == ["BSRNet.pth"]
    assert published.files(Restoration(**options, cleaner=tmp_path / "a")) == []
    assert published.files(Restoration(weights="untrained")) == ()


def test_another_repository_of_the_base_can_be_named():
    files = published.files(Restoration(base_repository="someone/sd21"))
    assert files[2].url == (
        "https://huggingface.co/someone/sd21/resolve/main/unet/diffusion_pytorch_model.safetensors"
    )
    assert files[2].name == "sd21/unet/diffusion_pytorch_model.safetensors"
