"""Unusual and broken images through every reader of the suite: a known picture, or the file's name; never grey pixels.

Pretraining skips and counts up to a limit, then stops; evaluations stop at the first image they cannot read.
"""

import io
import json
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from data.decode import LONGEST_SIDE, ImageError, cut_endless, open_image
from evaluate.images import SquashView, pixel_batches
from evaluate.pretraining import pretraining_deviations
from evaluate.protocols import CenterView, RandomView
from pretrain import launch, online_knn
from pretrain.loader import StepSampler, TwoViews, batches
from pretrain.recipes import RECIPES
from pretrain.run import Run
from pretrain.settings import Recipe
from pretrain.views import host
from pretrain.views.reference import to_tensor
from results.records import CheckpointIdentity, DatasetIdentity
from results.refusal import Refusal, own_words, run_command_line
from transfer.engines.vissl_metrics import refusing_unreadable

COLOURS = (np.linspace(0, 255, 40 * 30 * 3).reshape(40, 30, 3) * [1, 0.5, 0.25]).astype(np.uint8)
PICTURE = Image.fromarray(COLOURS)
RECIPE: Recipe = replace(
    RECIPES["demo"], global_batch_size=4, epochs=2, warmup_epochs=1, projector_width=16, train_images=16, class_count=2
)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn by 90 degrees to view"
    return encoded(PICTURE, "JPEG", exif=exif)


UNUSUAL: dict[str, Callable[[], bytes]] = {
    "plain JPEG": lambda: encoded(PICTURE, "JPEG"),
    "progressive JPEG": lambda: encoded(PICTURE, "JPEG", progressive=True),
    "grayscale JPEG": lambda: encoded(PICTURE.convert("L"), "JPEG"),
    "CMYK JPEG": lambda: encoded(PICTURE.convert("CMYK"), "JPEG"),
    "EXIF-rotated JPEG": rotated,
    "PNG named as JPEG": lambda: encoded(PICTURE, "PNG"),
    "palette PNG": lambda: encoded(PICTURE.convert("P"), "PNG"),
    "palette with transparency": lambda: encoded(PICTURE.convert("P"), "PNG", transparency=bytes(range(256))),
    "transparent PNG": lambda: encoded(PICTURE.convert("RGBA"), "PNG"),
    "gray with transparency": lambda: encoded(PICTURE.convert("LA"), "PNG"),
    "black and white PNG": lambda: encoded(PICTURE.convert("1"), "PNG"),
    "16-bit PNG": lambda: encoded(Image.fromarray(COLOURS[..., 0].astype(np.uint16) * 257), "PNG"),
    "animated GIF": lambda: encoded(PICTURE, "GIF", save_all=True, append_images=[PICTURE.rotate(90)]),
    "animated WebP": lambda: encoded(PICTURE, "WEBP", save_all=True, append_images=[PICTURE.rotate(90)]),
    "1 x 1": lambda: encoded(Image.new("RGB", (1, 1), "red"), "JPEG"),
    "50,000 x 10": lambda: encoded(Image.new("RGB", (50_000, 10), "red"), "JPEG"),
    "10 x 50,000": lambda: encoded(Image.new("RGB", (10, 50_000), "red"), "PNG"),
}


def png_bomb() -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def jpeg_bomb() -> bytes:
    """A small JPEG whose frame header claims 65,500 x 65,500 pixels: 12.9 GB of them."""
    content = bytearray(encoded(PICTURE, "JPEG", exif=b"Exif\0\0" + bytes(60_000)))
    frame = content.index(b"\xff\xc0")
    content[frame + 5 : frame + 9] = struct.pack(">HH", 65_500, 65_500)
    return bytes(content)


BROKEN: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "one byte": lambda: b"\xff",
    "truncated JPEG": lambda: encoded(PICTURE, "JPEG")[:-200],
    "JPEG without its last byte": lambda: encoded(PICTURE, "JPEG")[:-1],
    "truncated progressive JPEG": lambda: encoded(PICTURE, "JPEG", progressive=True)[:-150],
    "truncated PNG": lambda: encoded(PICTURE, "PNG")[:-60],
    "a web page": lambda: b"<!doctype html><title>404</title>",
    "floating-point TIFF": lambda: encoded(Image.fromarray(np.zeros((4, 4), np.float32)), "TIFF"),
    "PNG bomb": png_bomb,
    "JPEG bomb": jpeg_bomb,
}


def write(folder: Path, kind: str) -> Path:
    path = folder / f"{kind.replace(' ', '_').replace(',', '')}.JPEG"
    path.write_bytes({**UNUSUAL, **BROKEN}[kind]())
    return path


def odd(folder: Path) -> list[Path]:
    """What is no image file at all."""
    (folder / "folder.JPEG").mkdir()
    os.mkfifo(folder / "pipe.JPEG")
    (folder / "dead.JPEG").symlink_to("nowhere")
    found = [folder / "folder.JPEG", folder / "pipe.JPEG", folder / "dead.JPEG", folder / "absent.JPEG"]
    if os.geteuid():
        (folder / "locked.JPEG").write_bytes(UNUSUAL["plain JPEG"]())
        (folder / "locked.JPEG").chmod(0)
        found.append(folder / "locked.JPEG")
    return found


def pretraining(fast: bool) -> Callable[[Path], Any]:
    return lambda path: TwoViews([path], RECIPE, seed=0, fast=fast).__getitems__([(0, 0)]).pixels_a


def evaluated(view: Any) -> Callable[[Path], Any]:
    return lambda path: next(pixel_batches([path], view, [[(0, 0)]], workers=0))


READERS: dict[str, Callable[[Path], Any]] = {
    "PIL, the reference": lambda path: to_tensor(open_image(path)),
    "torchvision's decoder": host.decode,
    "pretraining, fast views": pretraining(True),
    "pretraining, reference views": pretraining(False),
    "20-NN while pretraining": lambda path: online_knn.Centred([path], 32)[0],
    "evaluation, central crop": evaluated(CenterView()),
    "evaluation, random crop": evaluated(RandomView()),
    "VOC07, squashed": evaluated(SquashView()),
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("reader", READERS)
def test_every_reader_reads_what_is_unusual_and_names_what_is_broken(
    reader: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read, failed = READERS[reader], []
    for kind in UNUSUAL:
        pixels = read(write(tmp_path, kind))
        if pixels.dtype != torch.uint8 or not pixels.numel():
            failed.append(kind)
    broken = [write(tmp_path, kind) for kind in BROKEN] + odd(tmp_path)
    for path in broken:
        try:
            read(path)
            failed.append(path.name)
        except ImageError as error:
            assert str(path) in str(error) and "\n" not in str(error)
    assert failed == []
    with capsys.disabled():
        print(f"\ndirty data, {reader}: {len(UNUSUAL)} unusual images read, {len(broken)} broken ones named")


@pytest.mark.parametrize("kind", [kind for kind in UNUSUAL if "," not in kind])
def test_both_decoders_give_the_same_picture(kind: str, tmp_path: Path) -> None:
    path = write(tmp_path, kind)
    reference, fast = to_tensor(open_image(path)).int(), host.decode(path).int()
    assert reference.shape == fast.shape
    # libjpeg's two integer transforms may differ by a level or two.
    assert int((reference - fast).abs().max()) <= 2


def damaged_jpegs(count: int) -> Iterator[bytes]:
    """Cut anywhere, or with up to three flipped bits."""
    random = np.random.default_rng(0)
    for progressive in (False, True):
        content = encoded(PICTURE.resize((120, 90)), "JPEG", progressive=progressive, quality=85)
        for _ in range(count // 4):
            yield content[: random.integers(len(content))]
            flipped = bytearray(content)
            for place in random.integers(0, len(content), random.integers(1, 4)):
                flipped[place] ^= 1 << random.integers(8)
            yield bytes(flipped)


def both(path: Path) -> list[torch.Tensor | None]:
    found: list[torch.Tensor | None] = []
    for decode in (host.decode, lambda path: to_tensor(open_image(path))):
        try:
            found.append(decode(path))
        except ImageError:
            found.append(None)
    return found


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("count", [400, pytest.param(8000, marks=pytest.mark.slow)])
def test_both_decoders_take_and_refuse_the_same_damaged_files(
    count: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tally = {"read alike": 0, "refused by both": 0}
    for content in damaged_jpegs(count):
        (tmp_path / "d.JPEG").write_bytes(content)
        fast, reference = both(tmp_path / "d.JPEG")
        assert (fast is None) == (reference is None), content.hex()
        if fast is not None and reference is not None:
            assert fast.shape == reference.shape and int((fast.int() - reference.int()).abs().max()) <= 2
        tally["refused by both" if fast is None else "read alike"] += 1
    capfd.readouterr()  # libjpeg's own warnings
    with capfd.disabled():
        print(f"\ndirty data, both decoders: {sum(tally.values())} damaged JPEGs, {tally}")
    assert min(tally.values()) > 0


def test_a_jpeg_bomb_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    path = write(tmp_path, "JPEG bomb")
    assert host.jpeg_pixels(memoryview(path.read_bytes())) == 65_500**2
    with pytest.raises(ImageError, match=r"JPEG_bomb\.JPEG: "):
        host.decode(path)


@pytest.mark.parametrize(
    ("size", "cut"), [((50_000, 10), (640, 10)), ((10, 50_001), (10, 640)), ((640, 10), (640, 10))]
)
def test_an_endless_image_is_cut_to_its_middle(size: tuple[int, int], cut: tuple[int, int]) -> None:
    image = Image.new("RGB", size)
    image.putpixel((size[0] // 2, size[1] // 2), (255, 0, 0))
    found = cut_endless(image)
    assert found.size == cut and max(cut) == LONGEST_SIDE * min(cut)
    red = np.argwhere(np.asarray(found)[..., 0] == 255)
    assert np.abs(red - np.array(found.size[::-1]) // 2).max() <= 1


@pytest.mark.parametrize("workers", [0, 1])
def test_an_evaluation_stops_at_the_first_unreadable_image_with_its_name(
    workers: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    paths = [write(tmp_path, kind) for kind in ("plain JPEG", "truncated JPEG", "palette PNG")]
    with pytest.raises(SystemExit) as end:
        run_command_line(lambda: len(list(pixel_batches(paths, CenterView(), [[(0, 0), (1, 0), (2, 0)]], workers))))
    assert end.value.code == 2
    said = capfd.readouterr().err
    assert said.startswith(f"error: {paths[1]}: ") and said.count("\n") == 1


def images(root: Path, broken: list[int]) -> Path:
    """16 noise images in ImageNet's layout, those of `broken` truncated."""
    random = np.random.default_rng(0)
    for index in range(16):
        for split in ("train", "val"):
            path = root / split / "ab"[index % 2] / f"{index:02d}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            content = encoded(Image.fromarray(random.integers(0, 256, (40, 36, 3), dtype=np.uint8)), "JPEG")
            path.write_bytes(content[:200] if index in broken and split == "train" else content)
    return root


def listed(root: Path) -> list[Path]:
    return sorted((root / "train").rglob("*.JPEG"))


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_skipped_image_is_replaced_alike_on_any_number_of_workers_and_after_any_resume(
    workers: int, fast: bool, tmp_path: Path
) -> None:
    paths = listed(images(tmp_path, [3, 6]))
    broken = {index for index, path in enumerate(paths) if path.stat().st_size == 200}

    def read(workers: int, first: int = 0) -> list[Any]:
        dataset = TwoViews(paths, RECIPE, seed=0, fast=fast, unreadable_limit=2)
        return list(batches(dataset, StepSampler(RECIPE, 16, 0, first), workers=workers, pin=False))

    whole, other, resumed = read(0), read(workers), read(workers, first=5)
    assert {skip.position for batch in whole for skip in batch.skips} == broken and len(broken) == 2
    assert all(len(batch.pixels_a) == 4 for batch in whole)
    for a, b in zip(whole + whole[5:], other + resumed, strict=True):
        assert torch.equal(a.pixels_a, b.pixels_a) and torch.equal(a.pixels_b, b.pixels_b)
        assert [skip.position for skip in a.skips] == [skip.position for skip in b.skips]


def run_in(folder: Path, data: Path, share: float) -> Run:
    return Run(
        data=data, output=folder, device="cpu", workers=0, threads=1, precision="float32", log_every_steps=1,
        tensorboard=False, max_unreadable_share=share, skip_doctor=True,
    )  # fmt: skip


def test_pretraining_skips_counts_names_and_goes_on_below_the_limit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.set_num_threads(1)
    data = images(tmp_path / "data", [3, 6])
    assert launch.train_here("demo", RECIPE, run_in(tmp_path / "run", data, 0.125)) == 0
    said = capsys.readouterr().err
    for path in (data / "train/b/03.JPEG", data / "train/a/06.JPEG"):
        assert said.count(f"warning: {path}: ") == 1
    assert "(2 of at most 2 unreadable images)" in said
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["count"] for line in lines if line.get("event") == "unreadable"] == [1, 2]
    assert [line["unreadable_images"] for line in lines if "loss" in line][-1] == 2
    card = json.loads((tmp_path / "run" / "resnet50.pth.json").read_text())
    assert card["unreadable_images"] == 2
    identity = CheckpointIdentity("a" * 64, "x", "VICReg"), DatasetIdentity("imagenet", "digits", "f", {})
    lines = pretraining_deviations(card, "table1/linear/top1", *identity)
    assert "pretraining: 2 unreadable training images skipped" in lines


def test_pretraining_stops_at_one_more_than_the_limit_naming_the_field_and_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.set_num_threads(1)
    data = images(tmp_path / "data", [3, 6, 9])
    with pytest.raises(Refusal) as stopped:
        launch.train_here("demo", RECIPE, run_in(tmp_path / "run", data, 0.125))
    message = own_words(stopped.value)
    assert "3 training images could not be read, and run.max_unreadable_share allows 2; the first: " in message
    assert str(data / "train") in message and "\n" not in message
    assert not (tmp_path / "run" / "resnet50.pth").exists()
    capsys.readouterr()


def test_by_default_one_unreadable_image_in_ten_thousand_is_skipped_and_a_small_set_must_be_whole(
    tmp_path: Path,
) -> None:
    from pretrain.unreadable import Skipped

    assert Skipped(Run().max_unreadable_share, 1_281_167).limit == 128
    with pytest.raises(Refusal, match=r"03\.JPEG: .*; restore the file"):
        launch.train_here(
            "demo", RECIPE, run_in(tmp_path / "run", images(tmp_path / "data", [3]), Run().max_unreadable_share)
        )


def test_the_20_nn_monitor_is_left_out_where_it_cannot_read_and_ends_no_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = images(tmp_path, [3])
    network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    found = online_knn.monitored(network, data, size=32, device=torch.device("cpu"), workers=0)
    assert found == {}
    assert f"warning: 20-NN accuracy is left out: {data / 'train/b/03.JPEG'}: " in capsys.readouterr().err


def test_vissls_grey_square_ends_its_run_at_once_with_the_images_name() -> None:
    ended: list[bool] = []

    def log() -> Iterator[str]:
        try:
            yield "INFO: iter: 5; lr: 0.1"
            yield "WARNING 2026 disk_dataset.py: 83: Couldn't load: /data/val/a b.jpg. Exception: "
            yield "INFO: iter: 6; lr: 0.1"
        finally:
            ended.append(True)

    lines = refusing_unreadable(log())  # type: ignore[arg-type]
    assert next(lines).startswith("INFO: iter: 5")
    with pytest.raises(ImageError, match=r"/data/val/a b\.jpg: VISSL cannot decode it"):
        next(lines)
    assert ended == [True]


@pytest.mark.engine
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning", "ignore:Palette images")
def test_detectron2_names_every_image_that_it_cannot_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from transfer.engines import detectron2_compat

    detectron2_compat.prepare()
    detectron2_compat.name_unusable_images()
    detectron2_compat.name_unusable_images()
    from detectron2.data import DatasetMapper
    from detectron2.data import transforms as T

    mapper = DatasetMapper(is_train=False, augmentations=[T.ResizeShortestEdge(64, 128)], image_format="RGB")
    # Endless images and single pixels would be resized to nothing: those are named as well.
    too_thin = ("50,000 x 10", "10 x 50,000")
    for kind in UNUSUAL.keys() - {*too_thin, "16-bit PNG"}:
        assert mapper({"file_name": str(write(tmp_path, kind))})["image"].numel()
    unusable = [write(tmp_path, kind) for kind in (*BROKEN, *too_thin) if kind != "floating-point TIFF"]
    unusable += odd(tmp_path)
    for path in unusable:
        with pytest.raises(ImageError, match=str(path)):
            mapper({"file_name": str(path)})
    wrong_size = {"file_name": str(write(tmp_path, "EXIF-rotated JPEG")), "width": 30, "height": 40}
    with pytest.raises(ImageError, match="EXIF-rotated"):
        # Detectron2 turns it as its EXIF says, and finds it 40 wide.
        mapper(wrong_size)
    with capsys.disabled():
        print(f"\ndirty data, Detectron2: {len(UNUSUAL) - 3} unusual images read, {len(unusable)} named")
