"""Weights are fetched once, known again, read without running code and loaded strictly."""

from __future__ import annotations

import contextlib
import json
import pickle
import random
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from restorebench import MissingResource, RestorebenchError, Runtime, WeightFile
from restorebench.contract.errors import WeightsMismatch
from restorebench.toolbox import weights
from restorebench.toolbox.files import file_digest

HUB = "https://huggingface.co/someone/something/resolve/main/net.pth"


def runtime(cache, offline=True):
    return Runtime("cpu", 1, cache, {}, offline, (), lambda kind, name: None)


def published(url=HUB, sha256=""):
    return WeightFile("net.pth", url, "MIT", 12_000_000, sha256)


def by_hand(cache, data=b"weights"):
    path = cache / "weights" / "net.pth"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.fixture
def layer():
    return torch.nn.Linear(2, 3)


# ---------------------------------------------------------------- fetching


def test_a_file_put_there_by_hand_is_recorded_and_known_again(tmp_path):
    path = by_hand(tmp_path)
    assert weights.fetch(published(), runtime(tmp_path)) == path
    assert json.loads((tmp_path / weights.LOCK).read_text()) == {HUB: file_digest(path)}
    by_hand(tmp_path, b"others")
    with pytest.raises(WeightsMismatch, match="recorded at first use"):
        weights.fetch(published(), runtime(tmp_path))


def test_the_digest_of_a_card_is_held(tmp_path):
    by_hand(tmp_path)
    with pytest.raises(WeightsMismatch, match="its card says 0000"):
        weights.fetch(published(sha256="0" * 64), runtime(tmp_path))


def test_offline_says_what_to_get_and_where_to_put_it(tmp_path):
    with pytest.raises(MissingResource) as caught:
        weights.fetch(published(), runtime(tmp_path))
    message = str(caught.value)
    for part in ("offline", HUB, "licence MIT, 12 MB", str(tmp_path / "weights" / "net.pth")):
        assert part in message
    assert "\n" not in message


def test_a_download_comes_from_the_hub_into_the_cache(tmp_path, monkeypatch):
    asked = {}

    def download(repo, file, **options):
        asked.update(options, repo=repo, file=file)
        path = tmp_path / "got.pth"
        path.write_bytes(b"weights")
        return str(path)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    assert weights.fetch(published(), runtime(tmp_path, offline=False)).read_bytes() == b"weights"
    assert (asked["repo"], asked["file"], asked["revision"]) == ("someone/something", "net.pth", "main")
    assert asked["cache_dir"] == tmp_path / "hub"
    assert asked["local_files_only"] is False


def test_a_file_is_present_by_hand_or_in_the_hubs_cache(tmp_path):
    assert not weights.present(published(), tmp_path)
    commit = tmp_path / "hub" / "models--someone--something"
    (commit / "refs").mkdir(parents=True)
    (commit / "refs" / "main").write_text("abc")
    (commit / "snapshots" / "abc").mkdir(parents=True)
    assert not weights.present(published(), tmp_path)
    (commit / "snapshots" / "abc" / "net.pth").write_bytes(b"weights")
    assert weights.present(published(), tmp_path)
    assert not weights.present(published(), tmp_path / "elsewhere")
    by_hand(tmp_path / "elsewhere")
    assert weights.present(published(), tmp_path / "elsewhere")


@pytest.mark.parametrize("content", ["{bad", "[]", "5", '{"a": 1}', b"\xff\xfe", None])
def test_a_record_of_digests_that_is_broken_is_one_line(tmp_path, content):
    by_hand(tmp_path)
    lock = tmp_path / weights.LOCK
    if content is None:
        lock.mkdir()
    else:
        lock.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(
        RestorebenchError, match=r"weights\.json: .*; delete it, and digests are recorded"
    ) as caught:
        weights.fetch(published(), runtime(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_cache_that_cannot_be_written_is_one_line_unless_it_is_complete(tmp_path, monkeypatch):
    path = by_hand(tmp_path)

    def refuse(*given):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(weights, "FileLock", refuse)
        with pytest.raises(MissingResource, match=r"weights\.json: .*Permission denied.*RESTOREBENCH_HOME"):
            weights.fetch(published(), runtime(tmp_path))
    weights.fetch(published(), runtime(tmp_path))
    monkeypatch.setattr(weights, "FileLock", refuse)
    assert weights.fetch(published(), runtime(tmp_path)) == path


def test_other_hosts_are_fetched_by_hand(tmp_path):
    with pytest.raises(MissingResource, match=r"put https://drive\.example/x"):
        weights.fetch(published("https://drive.example/x"), runtime(tmp_path, offline=False))


# ---------------------------------------------------------------- reading


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": s, "epoch": 3}, lambda s: {"params": s}])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_checkpoint_is_read_in_every_wrapping(tmp_path, layer, wrap, prefix):
    path = tmp_path / "net.pt"
    torch.save(wrap({prefix + name: value for name, value in layer.state_dict().items()}), path)
    state = weights.read(path)
    assert set(state) == {"weight", "bias"}
    assert torch.equal(state["weight"], layer.weight)


def test_safetensors_are_read(tmp_path, layer):
    save_file(layer.state_dict(), tmp_path / "net.safetensors")
    assert torch.equal(weights.read(tmp_path / "net.safetensors")["bias"], layer.bias)


class _Harmful:
    def __reduce__(self):
        return (Path.touch, (Path("harm-was-done"),))


@pytest.mark.faults
def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": _Harmful()}, "net.pt")
    with pytest.raises(RestorebenchError, match="might run code"):
        weights.read(Path("net.pt"))
    Path("raw.pt").write_bytes(pickle.dumps(_Harmful()))
    with pytest.raises(RestorebenchError, match="a pickle that torch did not write"):
        weights.read(Path("raw.pt"))
    assert not Path("harm-was-done").exists()


@pytest.mark.faults
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
def test_truncated_files_are_named(tmp_path, layer, suffix, keep):
    path = tmp_path / f"net{suffix}"
    save_file(layer.state_dict(), path) if suffix == ".safetensors" else torch.save(layer.state_dict(), path)
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])
    with pytest.raises(RestorebenchError, match=f"weights .*net{suffix}: ") as caught:
        weights.read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_file_that_may_not_be_read_is_one_line(tmp_path, monkeypatch, suffix):
    path = tmp_path / f"net{suffix}"
    path.write_bytes(b"")

    def refuse(*given, **named):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(torch, "load", refuse)
    monkeypatch.setattr(Path, "open", refuse)  # an administrator may read anything, so no chmod
    with pytest.raises(
        RestorebenchError, match=f"weights .*net{suffix}: cannot be read .Permission denied.; "
    ) as caught:
        weights.read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.faults
@pytest.mark.parametrize("held", [{}, [1, 2], {"a": 1}, {"state_dict": {"a": "b"}}])
def test_a_file_without_tensors_is_refused(tmp_path, held):
    torch.save(held, tmp_path / "net.pt")
    with pytest.raises(RestorebenchError, match="holds no named tensors"):
        weights.read(tmp_path / "net.pt")


@pytest.mark.faults
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\n", "a git-lfs pointer.*git lfs pull"),
        (b"\n<!DOCTYPE html><p>\xc3\xa9</p>", "a web page"),
        (b"junk", "a text file"),
        (b"a", "a text file"),
        (pickle.dumps({}, protocol=2), "a pickle that torch did not write"),
        (pickle.dumps({"a": 1}), "a pickle that torch did not write"),
        (b"PK\x03\x04" + bytes(100), "truncated, or no checkpoint"),
    ],
)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_what_is_no_checkpoint_is_said_for_what_it_is(tmp_path, content, message, suffix):
    path = tmp_path / f"net{suffix}"
    path.write_bytes(content)
    with pytest.raises(RestorebenchError, match=message) as caught:
        weights.read(path)
    assert "run code" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore")  # torch warns of strange pickles
@pytest.mark.parametrize("zipped", [True, False])
def test_a_mutated_checkpoint_is_read_or_refused(tmp_path, layer, zipped):
    torch.save(layer.state_dict(), tmp_path / "net.pt", _use_new_zipfile_serialization=zipped)
    data = (tmp_path / "net.pt").read_bytes()
    rng = random.Random(0)
    for _ in range(100):
        mutated = bytearray(data)
        for _ in range(3):
            mutated[rng.randrange(min(len(data), 600))] = rng.randrange(256)
        (tmp_path / "net.pt").write_bytes(mutated)
        with contextlib.suppress(RestorebenchError):
            weights.read(tmp_path / "net.pt")


@pytest.mark.faults
def test_a_compressed_checkpoint_is_refused_before_it_is_unpacked(tmp_path, layer):
    torch.save({"a": torch.zeros(1_000_000)}, tmp_path / "net.pth")
    with (
        zipfile.ZipFile(tmp_path / "net.pth") as plain,
        zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for name in plain.namelist():
            bomb.writestr(name, plain.read(name))
    assert (tmp_path / "bomb.pth").stat().st_size < 10_000
    with pytest.raises(RestorebenchError, match="may unpack to any size"):
        weights.read(tmp_path / "bomb.pth")
    assert weights.notes(tmp_path / "bomb.pth") == {}


@pytest.mark.faults
def test_a_compiled_program_is_said_to_be_one(tmp_path):
    torch.jit.script(torch.nn.Identity()).save(tmp_path / "net.pt")
    with pytest.raises(RestorebenchError, match=r"a compiled program \(TorchScript\), not a checkpoint"):
        weights.read(tmp_path / "net.pt")


def test_weights_that_look_like_an_archive_near_their_end_are_read(tmp_path):
    ends = torch.frombuffer(bytearray(b"PK\x05\x06" + bytes(18)), dtype=torch.uint8)
    save_file({"a": ends}, tmp_path / "net.safetensors")
    assert weights.read(tmp_path / "net.safetensors")["a"].tolist() == ends.tolist()


@pytest.mark.faults
@pytest.mark.parametrize("odd", ["expanded", "meta"])
def test_a_tensor_that_is_larger_than_its_file_is_refused(tmp_path, odd):
    tensor = torch.zeros(1).expand(10**9) if odd == "expanded" else torch.empty(10**9, device="meta")
    torch.save({"a": tensor}, tmp_path / "net.pth")
    with pytest.raises(RestorebenchError, match="a claims more numbers than the file holds"):
        weights.read(tmp_path / "net.pth")


@pytest.mark.faults
@pytest.mark.filterwarnings("ignore:.*[Qq]uantiz")
@pytest.mark.parametrize("odd", ["sparse", "quantised"])
def test_sparse_and_quantised_tensors_are_refused(tmp_path, odd):
    tensor = torch.ones(3)
    tensor = tensor.to_sparse() if odd == "sparse" else torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8)
    torch.save({"bias": tensor}, tmp_path / "net.pt")
    with pytest.raises(RestorebenchError, match="bias is sparse or quantised"):
        weights.read(tmp_path / "net.pt")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingResource, match=r"gone\.pt: no such file"):
        weights.read(tmp_path / "gone.pt")


# ---------------------------------------------------------------- loading


def test_names_and_shapes_must_fit(layer):
    state = {"weight": torch.zeros(3, 4), "scale": torch.zeros(1)}
    with pytest.raises(RestorebenchError) as caught:
        weights.load(layer, state, Path("net.pt"), "are these the weights of `wild-ir`?")
    message = str(caught.value)
    assert "net.pt do not fit Linear: 1 missing (bias); 1 unexpected (scale)" in message
    assert "1 of another shape (weight is [3, 4], not [3, 2])" in message
    assert message.endswith("; are these the weights of `wild-ir`?")


def test_fitting_weights_are_loaded(layer):
    other = torch.nn.Linear(2, 3)
    weights.load(layer, other.state_dict(), Path("net.pt"))
    assert torch.equal(layer.weight, other.weight)


@pytest.mark.parametrize(
    ("bias", "message"),
    [
        (torch.tensor([1, 2, 3]), "bias is int64, not float32"),
        (torch.ones(3, dtype=torch.complex64), "bias is complex64, not float32"),
        (torch.tensor([1, float("nan"), 3]), "bias holds NaN or infinity"),
        (torch.tensor([1, 2, float("-inf")]).half(), "bias holds NaN or infinity"),
    ],
)
def test_numbers_must_be_finite_and_of_the_right_kind(layer, bias, message, recwarn):
    state = {"weight": torch.zeros(3, 2), "bias": bias}
    before = layer.bias.clone()
    with pytest.raises(RestorebenchError, match=rf"weights net\.pt: {message}"):
        weights.load(layer, state, Path("net.pt"))
    assert torch.equal(layer.bias, before)
    assert not recwarn


def test_counters_stay_integers_and_other_precisions_are_taken():
    norm = torch.nn.BatchNorm1d(2)
    state = {
        name: value.bfloat16() if value.is_floating_point() else value + 7
        for name, value in norm.state_dict().items()
    }
    weights.load(norm, state, Path("net.pt"))
    assert norm.num_batches_tracked == 7
    state["num_batches_tracked"] = torch.tensor(7.5)
    with pytest.raises(RestorebenchError, match="num_batches_tracked is float32, not int64"):
        weights.load(norm, state, Path("net.pt"))
    state = {"weight": torch.ones(3, 2).to(torch.float8_e4m3fn), "bias": torch.ones(3)}
    weights.load(torch.nn.Linear(2, 3), state, Path("net.pt"))
