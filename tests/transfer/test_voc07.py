"""VOC07 from image sets to mAP: labels as VOC's files give them, features once, every class in the record."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from data import voc
from evaluate.checkpoint import load_backbone
from evaluate.images import SquashView, view_transform
from evaluate.protocols import CenterView
from evaluate.trunk import loaded_trunk
from results.records import CheckpointIdentity, DatasetIdentity
from results.refusal import Refusal
from transfer import voc07
from transfer.job import Job
from transfer.probe_heads import PooledTrunk
from transfer.proof import reference_features
from transfer.protocols import VOC07, Head, SvmProtocol
from transfer.run import SvmRun
from transfer.svm_files import ClassResult

# A few costs and small images: the path, not the number, is under test.
SMALL = SvmProtocol(image_size=32, resize=32, costs=(0.1, 1.0))


def job(data: Path, folder: Path, protocol: SvmProtocol = SMALL) -> Job[SvmProtocol, SvmRun]:
    run = SvmRun("random-init", data, output=folder.parent, workers=0, device="cpu")
    folder.mkdir(exist_ok=True)
    dataset = DatasetIdentity("voc07", "digits", "fingerprint", {})
    return Job("voc07-demo", protocol, run, CheckpointIdentity("a" * 64, "b", "c"), dataset, folder)


def test_labels_are_read_from_the_class_files_as_vissl_codes_them(digits_root: Path) -> None:
    paths, labels = voc07.labelled_images(SvmRun("x", digits_root / "VOCdevkit"), "trainval")
    assert labels.shape == (len(paths), 20)
    main = digits_root / "VOCdevkit" / "VOC2007" / "ImageSets" / "Main"
    coding = {"1": 1, "0": -1, "-1": 0}
    for line in (main / "bottle_trainval.txt").read_text().splitlines():
        name, value = line.split()
        row = [path.stem for path in paths].index(name)
        assert labels[row, voc.CLASSES.index("bottle")] == coding[value]


def test_a_listed_image_that_is_not_there_is_named(copy_digits: Callable[..., Path]) -> None:
    root = copy_digits("VOCdevkit") / "VOCdevkit"
    lost = sorted((root / "VOC2007" / "JPEGImages").iterdir())[0]
    lost.unlink()
    with pytest.raises(Refusal, match=lost.name):
        for image_set in ("trainval", "test"):
            voc07.labelled_images(SvmRun("x", root), image_set)


def test_a_limit_keeps_the_same_images_every_time(digits_root: Path) -> None:
    run = SvmRun("x", digits_root / "VOCdevkit", limit=30)
    first, labels = voc07.labelled_images(run, "trainval")
    assert (len(first), len(labels)) == (30, 30)
    assert voc07.labelled_images(run, "trainval")[0] == first


def test_the_cell_is_the_mean_over_all_classes_in_percent() -> None:
    results = [ClassResult(name, index / 20, 1.0, [0.5]) for index, name in enumerate(voc.CLASSES)]
    found = voc07.measurement(SvmProtocol(), results, 4952, "native")
    assert found.value == pytest.approx(100 * np.mean(np.arange(20) / 20))
    assert found.details["ap_by_class"]["bicycle"] == pytest.approx(5.0)
    assert set(found.details["cost_by_class"]) == set(voc.CLASSES)


def test_the_whole_path_measures_every_class_and_a_second_start_computes_nothing(
    digits_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = voc07.measure(job(digits_root / "VOCdevkit", tmp_path / "run"))
    (found,) = first.measurements
    assert found.cell == "table2/voc07/mAP"
    assert len(found.details["ap_by_class"]) == 20
    assert 0 < found.value < 100
    stamps = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*") if file.suffix in (".f32",)}
    assert stamps
    results = {file: file.stat().st_mtime_ns for file in (tmp_path / "run" / "classes").iterdir()}
    second = voc07.measure(job(digits_root / "VOCdevkit", tmp_path / "run"))
    assert second.measurements == first.measurements
    assert all(file.stat().st_mtime_ns == stamp for file, stamp in (stamps | results).items())


def test_other_preprocessing_gives_other_features(digits_root: Path, tmp_path: Path) -> None:
    paths, labels = voc07.labelled_images(SvmRun("x", digits_root / "VOCdevkit"), "test")
    few = (paths[:6], labels[:6])
    weights = load_backbone("random-init")
    centre, kept = voc07._rows(job(tmp_path, tmp_path / "run"), "test", few, weights)
    squash, _ = voc07._rows(job(tmp_path, tmp_path / "run", replace(SMALL, crop="squash")), "test", few, weights)
    assert centre.shape == squash.shape == (6, 2048)
    assert (kept == few[1]).all()
    assert not np.allclose(centre, squash)


def test_each_variant_has_features_of_its_own(tmp_path: Path) -> None:
    changes: list[dict[str, Any]] = [{}, {"crop": "squash"}, {"feature": Head("res5", kernel=6)}]
    jobs = [job(tmp_path, tmp_path / "run", replace(SvmProtocol(), **change)) for change in changes]
    keys = [voc07.feature_key(one, "train") for one in jobs]
    assert [key.dimension for key in keys] == [2048, 2048, 8192]
    assert len({key.folder(tmp_path) for key in keys}) == 3


def test_squashing_keeps_the_edges_that_the_centre_crop_cuts() -> None:
    image = Image.new("RGB", (40, 20))
    image.paste((255, 0, 0), (0, 0, 8, 20))
    squashed = view_transform(SquashView(20, 16))(image)
    cropped = view_transform(CenterView(20, 16))(image)
    assert squashed.shape == cropped.shape == (3, 16, 16)
    assert squashed[0, :, 0].min() > 200
    assert cropped.max() == 0


def test_res5_features_are_the_pooled_map_channel_by_channel() -> None:
    trunk = loaded_trunk(load_backbone("random-init").state_dict, torch.device("cpu"))
    images = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = PooledTrunk(trunk, Head("res5", kernel=6))(images)
        res5 = reference_features(load_backbone("random-init").state_dict, images)["res5"]
    assert found.shape == (1, 8192)
    torch.testing.assert_close(found[0, 1], res5[0, 0, 0:6, 1:7].mean())  # channel 0, top right window


@pytest.mark.parametrize(
    ("engine", "field", "value", "other"),
    [("vissl", "positive_weight", 50.0, "native"), ("vissl", "norm_epsilon", 0.1, "native"),
     ("native", "max_iterations", 1, "vissl")],
)  # fmt: skip
def test_a_setting_that_the_engine_would_not_heed_is_refused(engine: str, field: str, value: float, other: str) -> None:
    changed = replace(VOC07, **{field: value})  # type: ignore[arg-type]
    with pytest.raises(Refusal, match=rf"protocol\.{field} is {value}, but engine {engine} always .*{other} heeds"):
        voc07.refuse_unheeded(changed, engine)
    voc07.refuse_unheeded(changed, other)


def test_a_limited_run_keeps_enough_images_of_each_class_to_fold(digits_root: Path) -> None:
    for seed in range(3):
        run = SvmRun("x", digits_root / "VOCdevkit", limit=40, seed=seed)
        _, labels = voc07.labelled_images(run, "trainval", at_least=3)
        assert (labels == 1).sum(axis=0).min() >= 3
