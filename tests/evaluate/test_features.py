from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_trunk import tiny_trunk

from evaluate import features
from evaluate.features import SHARD_ROWS, FeatureKey, FeatureStore, cached_features
from evaluate.protocols import CenterView
from evaluate.search import TensorRows, nearest
from pretrain.distributed import World

CPU = torch.device("cpu")
ALONE = World(0, 1, CPU)
KEY = FeatureKey("ab" * 32, CenterView(32, 32), "float32", "fingerprint", "val")


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    random = np.random.default_rng(0)
    paths = [tmp_path / f"{index}.png" for index in range(10)]
    for path in paths:
        Image.fromarray(random.integers(0, 256, (40, 36, 3), dtype=np.uint8)).save(path)
    return paths


@pytest.fixture
def trunk() -> torch.nn.Module:
    torch.manual_seed(0)
    return tiny_trunk().eval()


def extracted(paths: list[Path], trunk: torch.nn.Module, root: Path, key: FeatureKey = KEY) -> FeatureStore:
    return cached_features(key, paths, trunk, root=root, world=ALONE, workers=0)


class Refusing(torch.nn.Module):
    """Stands for a trunk that must not run."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        raise AssertionError("the trunk ran although the cache was intact")


def test_features_are_the_trunks_output_for_the_centre_view(
    images: list[Path], trunk: torch.nn.Module, tmp_path: Path
) -> None:
    from torchvision import transforms

    view = transforms.Compose([
        transforms.Resize(32), transforms.CenterCrop(32), transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ])  # fmt: skip
    batch = torch.stack([view(Image.open(path)) for path in images])
    with torch.no_grad():
        expected = trunk(batch)
    assert torch.allclose(extracted(images, trunk, tmp_path).all_rows(), expected, atol=1e-5)


def test_an_intact_cache_is_used_without_running_the_trunk(
    images: list[Path], trunk: torch.nn.Module, tmp_path: Path
) -> None:
    first = extracted(images, trunk, tmp_path).all_rows()
    assert torch.equal(extracted(images, Refusing(), tmp_path).all_rows(), first)


@pytest.mark.parametrize("harm", ["flip a bit", "cut short", "lose the digest", "lose the shard", "garble the digest"])
def test_a_damaged_cache_is_noticed_and_rebuilt(
    harm: str, images: list[Path], trunk: torch.nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "SHARD_ROWS", 4)  # three shards
    store = extracted(images, trunk, tmp_path)
    expected = store.all_rows()
    shard, digest = store.folder / "00001.f32", store.folder / "00001.json"
    content = bytearray(shard.read_bytes())
    content[1000] ^= 1
    {
        "flip a bit": lambda: shard.write_bytes(content),
        "cut short": lambda: shard.write_bytes(content[:-4]),
        "lose the digest": digest.unlink,
        "lose the shard": shard.unlink,
        "garble the digest": lambda: digest.write_text("{"),
    }[harm]()
    assert [store.is_intact(index) for index in range(3)] == [True, False, True]
    with pytest.raises(AssertionError, match="the trunk ran"):
        extracted(images, Refusing(), tmp_path)
    assert torch.equal(extracted(images, trunk, tmp_path).all_rows(), expected)


def test_each_thing_the_features_depend_on_has_its_own_folder(tmp_path: Path) -> None:
    from dataclasses import replace

    changes = (
        {"checkpoint_sha256": "cd" * 32}, {"view": CenterView(36, 32)}, {"precision": "bfloat16"},
        {"dataset_fingerprint": "other"}, {"split": "train"}, {"subset": "60"},
    )  # fmt: skip
    folders = {KEY.folder(tmp_path)} | {replace(KEY, **change).folder(tmp_path) for change in changes}
    assert len(folders) == 7


def test_a_store_reads_any_rows_across_shards_and_serves_the_search(tmp_path: Path) -> None:
    rows = torch.randn(SHARD_ROWS + 700, 2048, generator=torch.Generator().manual_seed(1))
    store = FeatureStore(tmp_path / "store", len(rows))
    for shard in range(store.shards):
        part = store.shard_range(shard)
        store.write(shard, rows[part.start : part.stop].numpy())
    buffer = torch.empty(500, 2048)
    store.read_into(buffer, SHARD_ROWS - 250)
    assert torch.equal(buffer, rows[SHARD_ROWS - 250 : SHARD_ROWS + 250])
    streamed = nearest(store, TensorRows(rows[:5]), 3, memory_mb=128, device=CPU)
    in_memory = nearest(TensorRows(rows), TensorRows(rows[:5]), 3, memory_mb=128, device=CPU)
    assert torch.equal(streamed[1], in_memory[1])
    assert streamed[1][:, 0].tolist() == [0, 1, 2, 3, 4]


def test_an_interrupted_shard_leaves_nothing_that_looks_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FeatureStore(tmp_path, 3)

    def fall(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(features.atomic, "write_text", fall)
    with pytest.raises(KeyboardInterrupt):
        store.write(0, np.zeros((3, 2048), dtype=np.float32))
    assert not store.is_intact(0)
