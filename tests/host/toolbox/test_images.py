"""Image files: every kind that is read, every kind that is refused, and what writing keeps."""

from __future__ import annotations

import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
import tifffile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from restorebench import MissingResource, UnreadableImage
from restorebench.toolbox import images
from restorebench.toolbox.files import file_digest

RNG = np.random.Generator(np.random.Philox(1))
BYTES = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
WORDS = RNG.integers(0, 65536, (5, 7, 4), dtype=np.uint16)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, depth: int, colour: int, data: bytes, extra: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = extra + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body


def png16(pixels: np.ndarray, row_filter: int = 0, extra: bytes = b"") -> bytes:
    """Encode (H, W, C) uint16 by the PNG specification, with filter 0 (none), 1 (sub) or 2 (up)."""
    height, width, channels = pixels.shape
    rows = pixels.astype(">u2").view(np.uint8).reshape(height, width * channels * 2)
    before = np.zeros_like(rows)
    if row_filter == 1:
        before[:, 2 * channels :] = rows[:, : -2 * channels]
    if row_filter == 2:
        before[1:] = rows[:-1]
    data = b"".join(bytes([row_filter]) + row.tobytes() for row in rows - before)
    return png(width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], data, extra)


def over_white(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    return colour * alpha[..., None] + 1 - alpha[..., None]


# ---------------------------------------------------------------- read


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "tiff", "webp"])
def test_lossless_files_give_their_stored_values(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"image.{suffix}"
    PIL.Image.fromarray(BYTES).save(path, **({"lossless": True} if suffix == "webp" else {}))
    image = images.read(path)
    assert image.dtype == np.float32
    assert image.flags.c_contiguous and image.flags.writeable
    assert (image == BYTES.astype(np.float32) / 255).all()


def test_jpeg_is_read_close_to_what_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "image.jpg"
    PIL.Image.new("RGB", (16, 8), (200, 100, 50)).save(path, quality=95)
    image = images.read(path)
    assert image.shape == (8, 16, 3)
    assert abs(image - np.array([200, 100, 50]) / 255).max() < 3 / 255


@pytest.mark.parametrize("row_filter", [0, 1, 2])
@pytest.mark.parametrize("channels", [1, 3])
def test_16_bit_png_keeps_every_bit(tmp_path: Path, channels: int, row_filter: int) -> None:
    path = tmp_path / "deep.png"
    pixels = WORDS[:, :, :channels]
    path.write_bytes(png16(pixels, row_filter))
    expected = np.broadcast_to(pixels.astype(np.float32) / np.float32(65535), (5, 7, 3))
    assert (images.read(path) == expected).all()


@pytest.mark.parametrize("channels", [2, 4])
def test_16_bit_png_with_alpha_is_composited_at_full_precision(tmp_path: Path, channels: int) -> None:
    path = tmp_path / "deep.png"
    pixels = WORDS[:, :, :channels]
    path.write_bytes(png16(pixels))
    values = pixels / 65535
    expected = np.broadcast_to(over_white(values[:, :, :-1], values[:, :, -1]), (5, 7, 3))
    assert np.abs(images.read(path) - expected).max() < 1e-6  # float32 against float64; 8 bits would be 2e-3


@pytest.mark.faults
def test_16_bit_png_with_a_transparent_colour_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    path.write_bytes(png16(WORDS[:, :, :3], extra=chunk(b"tRNS", bytes(6))))
    with pytest.raises(UnreadableImage, match=r"deep\.png.*transparent"):
        images.read(path)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_16_bit_tiff_keeps_every_bit(tmp_path: Path, channels: int, compression: str | None) -> None:
    path = tmp_path / "deep.tif"
    pixels = WORDS[:, :, :channels]
    kind = "minisblack" if channels == 1 else "rgb"
    extra = ("unassalpha",) if channels == 4 else ()
    stored = pixels[:, :, 0] if channels == 1 else pixels
    tifffile.imwrite(path, stored, photometric=kind, compression=compression, extrasamples=extra)
    values = pixels / 65535
    colour = over_white(values[:, :, :3], values[:, :, 3]) if channels == 4 else values
    assert np.abs(images.read(path) - np.broadcast_to(colour, (5, 7, 3))).max() < 1e-6
    assert images.read_size(path) == (5, 7)


@pytest.mark.faults
def test_16_bit_tiff_of_separate_planes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "planes.tif"
    planes = np.moveaxis(WORDS[:, :, :3], 2, 0)
    tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate")
    with pytest.raises(UnreadableImage, match=r"planes\.tif"):
        images.read(path)


@pytest.mark.parametrize("mode", ["1", "L"])
def test_grey_is_repeated_over_three_channels(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "grey.png"
    grey = PIL.Image.fromarray(BYTES[:, :, 0]).convert(mode)
    grey.save(path)
    expected = np.asarray(grey.convert("L"))[:, :, None].astype(np.float32) / 255
    assert (images.read(path) == np.broadcast_to(expected, (5, 7, 3))).all()


def test_palette_is_looked_up(tmp_path: Path) -> None:
    path = tmp_path / "palette.png"
    image = PIL.Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    image.save(path)
    assert (images.to_8bit(images.read(path)) == [[[10, 20, 30], [40, 50, 60]]]).all()


def test_transparent_palette_entry_becomes_white(tmp_path: Path) -> None:
    path = tmp_path / "palette.png"
    image = PIL.Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    image.save(path, transparency=0)
    assert (images.to_8bit(images.read(path)) == [[[255, 255, 255], [40, 50, 60]]]).all()


def test_alpha_is_composited_over_white(tmp_path: Path) -> None:
    path = tmp_path / "alpha.png"
    PIL.Image.new("RGBA", (1, 1), (0, 100, 255, 51)).save(path)  # one fifth opaque
    assert np.allclose(images.read(path)[0, 0], [0.8, 0.8 + 0.2 * 100 / 255, 1.0])


def test_opaque_alpha_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "alpha.png"
    PIL.Image.fromarray(np.dstack([BYTES, np.full((5, 7), 255, np.uint8)])).save(path)
    assert (images.read(path) == BYTES.astype(np.float32) / 255).all()


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_as_pillow_applies_it(tmp_path: Path, orientation: int, suffix: str) -> None:
    path = tmp_path / f"turned.{suffix}"
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    PIL.Image.fromarray(BYTES).save(path, exif=exif)
    with PIL.Image.open(path) as opened:
        expected = np.asarray(PIL.ImageOps.exif_transpose(opened))
    assert (images.to_8bit(images.read(path)) == expected).all()
    assert images.read_size(path) == expected.shape[:2]


def test_exif_orientation_is_applied_to_16_bit_tiff(tmp_path: Path) -> None:
    path = tmp_path / "turned.tif"
    tifffile.imwrite(path, WORDS[:, :, :3], photometric="rgb", extratags=[(0x0112, "H", 1, 6, True)])
    expected = np.rot90(WORDS[:, :, :3], -1).astype(np.float32) / np.float32(65535)
    assert (images.read(path) == expected).all()
    assert images.read_size(path) == (7, 5)


def test_one_pixel_is_an_image(tmp_path: Path) -> None:
    path = tmp_path / "dot.png"
    PIL.Image.new("RGB", (1, 1), (255, 0, 0)).save(path)
    assert images.read(path).tolist() == [[[1.0, 0.0, 0.0]]]
    assert images.read_size(path) == (1, 1)


def test_names_with_spaces_and_unicode_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a näme 雪 .png"
    images.write_png(path, images.quantise(BYTES / np.float32(255)))
    assert images.read_size(path) == (5, 7)
    assert images.read(path).shape == (5, 7, 3)


def test_content_decides_the_format_and_not_the_suffix(tmp_path: Path) -> None:
    path = tmp_path / "really_a_png.jpg"
    PIL.Image.fromarray(BYTES).save(path, format="PNG")
    assert (images.read(path) == BYTES.astype(np.float32) / 255).all()


def test_size_is_read_without_numpy_or_torch(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    PIL.Image.fromarray(BYTES).save(path)
    program = (
        "import sys; from pathlib import Path; from restorebench.toolbox import images; "
        f"assert images.read_size(Path({str(path)!r})) == (5, 7); "
        "print([name for name in ('numpy', 'torch') if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert printed.strip() == "[]"


# ---------------------------------------------------------------- refusals


def test_missing_file_is_a_missing_resource(tmp_path: Path) -> None:
    with pytest.raises(MissingResource, match=r"absent\.png"):
        images.read(tmp_path / "absent.png")


@pytest.mark.faults
@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n", b"GIF89a" + bytes(20)])
def test_files_that_are_no_image_are_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    for reader in (images.read, images.read_size):
        with pytest.raises(UnreadableImage, match=r"broken\.png"):
            reader(path)


@pytest.mark.faults
@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif", "webp"])
def test_truncated_file_is_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"half.{suffix}"
    PIL.Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    for reader in (images.read, images.read_size):
        with pytest.raises(UnreadableImage, match=rf"half\.{suffix}"):
            reader(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif", "webp"])
@pytest.mark.parametrize("behind", [b"", b"appended by a camera"])
def test_the_size_of_a_whole_file_is_read_without_decoding_it(
    tmp_path: Path, suffix: str, behind: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"whole.{suffix}"
    PIL.Image.fromarray(RNG.integers(0, 256, (64, 48, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes() + behind)
    if not (suffix == "jpg" and behind):  # only decoding tells an unusual end of a JPEG from a missing one
        monkeypatch.setattr(images, "read", None)
    assert images.read_size(path) == (64, 48)


@pytest.mark.faults
def test_truncated_16_bit_png_is_named(tmp_path: Path) -> None:
    path = tmp_path / "half.png"
    content = png16(RNG.integers(0, 65536, (64, 64, 3), dtype=np.uint16))
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UnreadableImage, match=r"half\.png"):
        images.read(path)


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 400), value=st.integers(0, 255), kind=st.sampled_from(["PNG", "JPEG", "TIFF", "WEBP"]))
def test_damaged_file_is_read_or_refused_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int, kind: str
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "image"
    PIL.Image.fromarray(BYTES).save(path, format=kind)
    content = bytearray(path.read_bytes())
    content[place % len(content)] = value
    path.write_bytes(content)
    try:
        assert images.read(path).shape[2] == 3
    except UnreadableImage as error:
        assert str(path) in str(error)


@pytest.mark.faults
@pytest.mark.parametrize("side", [10_001, 12_000, 30_000])
def test_decompression_bomb_is_refused_from_its_header(tmp_path: Path, side: int) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png(side, side, 8, 2, b"\0"))
    begin = time.process_time()
    for reader in (images.read, images.read_size):
        with pytest.raises(UnreadableImage, match=r"bomb\.png.*100 million pixels"):
            reader(path)
    assert time.process_time() - begin < 1.0


def test_size_below_the_limit_is_accepted_without_a_warning(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(png(10_000, 10_000, 8, 2, b"\0"))  # Pillow alone would warn here
    assert images.read_size(path) == (10_000, 10_000)
    assert not recwarn.list


@pytest.mark.faults
@pytest.mark.parametrize("reader", [images.read, images.read_size])
def test_cmyk_is_refused_because_it_needs_a_profile(tmp_path: Path, reader) -> None:
    path = tmp_path / "print.jpg"
    PIL.Image.new("CMYK", (4, 4)).save(path)
    with pytest.raises(UnreadableImage, match=r"print\.jpg.*CMYK.*profile"):
        reader(path)


@pytest.mark.faults
@pytest.mark.parametrize("reader", [images.read, images.read_size])
@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 3)])
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.uint32])
def test_float_and_32_bit_tiff_is_refused_with_what_to_do(tmp_path: Path, reader, shape, kind) -> None:
    path = tmp_path / "float.tif"
    tifffile.imwrite(path, np.zeros(shape, kind), photometric="rgb" if len(shape) == 3 else "minisblack")
    with pytest.raises(UnreadableImage, match=r"float\.tif: is .*16-bit"):
        reader(path)


def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "secret.png"
    path.touch()

    def refused(*anything, **more):  # as the superuser, tests may read everything
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(PIL.Image, "open", refused)
    with pytest.raises(UnreadableImage, match=r"secret\.png: may not be read \(Permission denied\); allow"):
        images.read_size(path)


@pytest.mark.faults
@pytest.mark.parametrize("suffix", ["tif", "png", "webp"])
def test_several_frames_are_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"film.{suffix}"
    frames = [PIL.Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    with pytest.raises(UnreadableImage, match=rf"film\.{suffix}.*several frames"):
        images.read(path)


def test_first_picture_of_a_multi_picture_jpeg_is_read(tmp_path: Path) -> None:
    path = tmp_path / "phone.jpg"
    pictures = [PIL.Image.new("RGB", (8, 8), colour) for colour in ("white", "black")]
    pictures[0].save(path, format="MPO", save_all=True, append_images=pictures[1:])
    assert images.read(path).min() > 0.98


# ---------------------------------------------------------------- write, digests, tensors


def test_rounding_to_8_bits_takes_halves_to_the_even_number() -> None:
    levels = np.array([-1.0, 0.5 / 255, 1.5 / 255, 2.5 / 255, 254.4 / 255, 2.0])
    assert images.to_8bit(levels.reshape(1, 2, 3)).ravel().tolist() == [0, 0, 2, 2, 254, 255]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), height=st.integers(1, 9), width=st.integers(1, 9))
def test_png_round_trip_is_the_quantised_image(
    tmp_path_factory: pytest.TempPathFactory, seed: int, height: int, width: int
) -> None:
    image = np.random.Generator(np.random.Philox(seed)).random((height, width, 3), dtype=np.float32)
    path = tmp_path_factory.mktemp("round") / "trip.png"
    images.write_png(path, image)
    assert (images.read(path) == images.quantise(image)).all()
    assert images.pixel_digest(images.read(path)) == images.pixel_digest(image)
    assert list(path.parent.iterdir()) == [path]


def test_float_round_trip_is_exact(tmp_path: Path) -> None:
    image = RNG.normal(size=(4, 5, 3)).astype(np.float32)
    images.write_float(tmp_path / "image.npy", image)
    assert (np.load(tmp_path / "image.npy") == image).all()


def test_failed_write_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(b"old")
    with pytest.raises(TypeError):
        images.write_png(path, np.zeros((2, 2, 7), np.float32))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_pixel_digest_sees_shape_and_values() -> None:
    image = np.zeros((2, 3, 3), np.float32)
    brighter = image + np.float32(1 / 255)
    digests = {images.pixel_digest(each) for each in (image, image.swapaxes(0, 1), brighter)}
    assert len(digests) == 3
    assert images.pixel_digest(image + np.float32(1e-4)) == images.pixel_digest(image)


def test_file_digest_is_the_sha256_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file_digest(tmp_path / "file") == expected


def test_tensors_round_trip() -> None:
    batch = [RNG.random((4, 6, 3), dtype=np.float32) for _ in range(2)]
    tensor = images.to_tensor(batch)
    assert tensor.shape == (2, 3, 4, 6) and tensor.dtype == torch.float32
    assert tensor[1, 2, 3, 4] == batch[1][3, 4, 2]
    assert all((back == image).all() for back, image in zip(images.from_tensor(tensor), batch, strict=True))
