"""The policy for unusual image files, one file of each kind."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data.decode import MAX_PIXELS, ImageError, open_image
from results.refusal import Refusal


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)  # type: ignore[arg-type]
    return path


def ramp(dtype: type, low: int, high: int) -> np.ndarray:
    return np.linspace(low, high, 64).reshape(8, 8).round().astype(dtype)


def test_grayscale_becomes_three_equal_channels(tmp_path: Path) -> None:
    gray = ramp(np.uint8, 0, 255)
    found = np.asarray(open_image(saved(tmp_path / "g.png", Image.fromarray(gray))))
    assert found.shape == (8, 8, 3)
    assert (found == gray[..., None]).all()


def test_cmyk_is_converted_as_pil_does_it(tmp_path: Path) -> None:
    path = saved(tmp_path / "c.jpg", Image.new("CMYK", (9, 7), (0, 255, 255, 0)))
    assert open_image(path).size == (9, 7)
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(open_image(path)), np.asarray(image.convert("RGB")))
    red, green, blue = open_image(path).getpixel((4, 4))  # type: ignore[misc]
    assert red > 240
    assert max(green, blue) < 15


def test_a_palette_gives_its_colours_and_drops_transparency(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    path = saved(tmp_path / "p.png", image, transparency=bytes([0, 128]))
    assert np.asarray(open_image(path)).tolist() == [[[10, 20, 30], [200, 100, 50]]]


def test_transparency_is_dropped_not_blended(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.new("RGBA", (1, 1), (12, 34, 56, 0)))
    assert open_image(path).getpixel((0, 0)) == (12, 34, 56)


def test_sixteen_bit_gray_keeps_its_upper_byte_where_pil_would_clip_to_white(tmp_path: Path) -> None:
    levels = np.array([[0, 257, 128 * 257, 65535]], dtype=np.uint16)
    path = saved(tmp_path / "s.png", Image.fromarray(levels))
    assert np.asarray(open_image(path))[0, :, 0].tolist() == [0, 1, 128, 255]


def test_of_an_animation_the_first_frame_is_used(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    path = tmp_path / "m.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert open_image(path).getpixel((0, 0)) == (255, 0, 0)


def test_exif_orientation_is_not_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # "rotate by 90 degrees to view"
    path = saved(tmp_path / "e.jpg", Image.new("RGB", (20, 10)), exif=exif)
    assert open_image(path).size == (20, 10)


@pytest.mark.parametrize("size", [(1, 1), (50_000, 10)])
def test_extreme_shapes_are_images_like_any_other(tmp_path: Path, size: tuple[int, int]) -> None:
    assert open_image(saved(tmp_path / "x.png", Image.new("RGB", size))).size == size


def test_the_content_decides_and_not_the_extension(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (3, 3), "green").save(buffer, "PNG")
    (tmp_path / "n02105855_2933.JPEG").write_bytes(buffer.getvalue())
    assert open_image(tmp_path / "n02105855_2933.JPEG").getpixel((0, 0)) == (0, 128, 0)


@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.95])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_truncated_file_is_named(tmp_path: Path, kind: str, kept: float) -> None:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, kind)
    content = buffer.getvalue()
    (tmp_path / "t.jpg").write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ImageError, match=r"t\.jpg: .*; restore the file"):
        open_image(tmp_path / "t.jpg")


def test_a_missing_file_a_folder_and_a_pipe_are_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(ImageError, match="no such image file"):
        open_image(tmp_path / "none.jpg")
    with pytest.raises(ImageError, match="not a regular file"):
        open_image(tmp_path)
    with pytest.raises(ImageError, match="not a regular file"):
        open_image(tmp_path / "pipe.jpg")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path / "locked.png", Image.new("RGB", (2, 2)))
    path.chmod(0)
    with pytest.raises(ImageError, match=r"locked\.png"):
        open_image(path)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(("side", "message"), [(10_000, "over the limit of 89,478,485"), (30_000, "exceeds limit")])
def test_a_decompression_bomb_is_refused_before_its_pixels_are_made(tmp_path: Path, side: int, message: str) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(content)
    assert side * side > MAX_PIXELS
    with pytest.raises(ImageError, match=rf"bomb\.png: .*{message}"):
        open_image(tmp_path / "bomb.png")


def test_floating_point_pixels_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "f.tiff", Image.fromarray(np.zeros((2, 2), np.float32)))
    with pytest.raises(ImageError, match="floating-point"):
        open_image(path)


def test_an_image_error_is_a_refusal() -> None:
    assert issubclass(ImageError, Refusal)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_file_decodes_or_is_named_and_nothing_else_happens(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    kind = data.draw(st.sampled_from(["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"]))
    buffer = io.BytesIO()
    Image.fromarray(ramp(np.uint8, 0, 255)).convert("RGB").save(buffer, kind)
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(content)
    try:
        assert open_image(path).mode == "RGB"
    except ImageError as error:
        assert "damaged" in str(error)
