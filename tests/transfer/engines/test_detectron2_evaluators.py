"""The numbers are Detectron2's, whole: averages, every class, the 11 points, difficult objects left out."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from transfer.engines import detectron2_compat
from transfer.engines.detectron2_data import VocSplit, find_splits, registered

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def voc_test(digits_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    work = tmp_path_factory.mktemp("work")
    with registered(find_splits("voc0712", digits_root / "VOCdevkit", work=work)) as (_, (test,)):
        yield test


@pytest.fixture(scope="module")
def coco_test(digits_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    work = tmp_path_factory.mktemp("work")
    with registered(find_splits("coco", digits_root / "coco", work=work)) as (_, (test,)):
        yield test


def answers(item: dict[str, Any], keep: float = 1.0, shift: float = 0.0, seed: int = 0) -> dict[str, Any]:
    """The annotated objects of `item` as a detector's output: a share of them, moved by up to `shift` pixels."""
    from detectron2.structures import Boxes, BoxMode, Instances

    random = np.random.default_rng([seed, abs(hash(str(item["image_id"]))) % 2**31])
    objects = [one for one in item["annotations"] if not one.get("iscrowd") and random.random() < keep]
    boxes = [BoxMode.convert(one["bbox"], one["bbox_mode"], BoxMode.XYXY_ABS) for one in objects]
    found = Instances((item["height"], item["width"]))
    moved = torch.tensor(boxes).reshape(-1, 4) + torch.tensor(random.uniform(-shift, shift, (len(boxes), 4)))
    found.pred_boxes = Boxes(moved.float())
    found.scores = torch.tensor(random.uniform(0.5, 1.0, len(boxes))).float()
    found.pred_classes = torch.tensor([one["category_id"] for one in objects], dtype=torch.int64)
    return {"instances": found}


def evaluate(evaluator: Any, name: str, **how: Any) -> dict[str, Any]:
    from detectron2.data import DatasetCatalog

    evaluator.reset()
    for item in DatasetCatalog.get(name):
        evaluator.process([item], [answers(item, **how)])
    results: dict[str, Any] = evaluator.evaluate()
    return results


def test_finding_every_voc_object_exactly_scores_100_in_each_class(voc_test: str) -> None:
    from transfer.engines.detectron2_evaluators import VocEvaluator

    box = evaluate(VocEvaluator(voc_test), voc_test)["bbox"]
    # Boxes are written with one decimal to a file and read back; they are whole numbers here.
    assert box["AP50"] == box["AP75"] == pytest.approx(100.0)
    assert all(value == pytest.approx(100.0) for key, value in box.items() if key.startswith("AP50-"))
    assert sum(key.startswith("AP50-") for key in box) == sum(key.startswith("AP-") for key in box) == 20


def test_the_averages_are_detectron2s_own_and_the_means_of_the_classes(voc_test: str) -> None:
    from detectron2.evaluation import PascalVOCDetectionEvaluator

    from transfer.engines.detectron2_evaluators import VocEvaluator

    how = {"keep": 0.7, "shift": 12.0}
    ours = evaluate(VocEvaluator(voc_test), voc_test, **how)["bbox"]
    theirs = evaluate(PascalVOCDetectionEvaluator(voc_test), voc_test, **how)["bbox"]
    assert {key: ours[key] for key in theirs} == pytest.approx({key: float(value) for key, value in theirs.items()})
    assert 5 < ours["AP50"] < 95
    for average in ("AP50", "AP"):
        classes = [value for key, value in ours.items() if key.startswith(f"{average}-")]
        assert np.mean(classes) == pytest.approx(ours[average])


def test_ap50_is_the_11_point_one(digits_root: Path, tmp_path: Path) -> None:
    from detectron2.data import DatasetCatalog
    from detectron2.structures import Boxes, Instances

    from transfer.engines.detectron2_data import Splits
    from transfer.engines.detectron2_evaluators import VocEvaluator

    split = VocSplit(two_cats(tmp_path), 2007, "test")
    with registered(Splits((split,), (split,))) as (_, (name,)):
        evaluator = VocEvaluator(name)
        evaluator.reset()
        item = DatasetCatalog.get(name)[0]
        found = Instances((item["height"], item["width"]))
        cat = item["annotations"][0]
        found.pred_boxes = Boxes(torch.tensor([cat["bbox"]]))
        found.scores, found.pred_classes = torch.tensor([0.9]), torch.tensor([cat["category_id"]])
        evaluator.process([item], [{"instances": found}])
        box = evaluator.evaluate()["bbox"]
    # One of two ordinary cats found, nothing wrong: precision 1 up to recall 0.5, which is 6 of the 11 recalls 0, 0.1,
    # ..., 1. The area under the curve would be 50, and counting the difficult cat 4 of 11.
    assert box["AP50-cat"] == pytest.approx(100 * 6 / 11)
    # The mean is over all 20 classes, also those without an object.
    assert box["AP50"] == pytest.approx(100 * 6 / 11 / 20)


def two_cats(folder: Path) -> Path:
    """A VOC year of one image with two ordinary cats and a difficult one."""
    for name in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (folder / name).mkdir(parents=True)
    (folder / "ImageSets" / "Main" / "test.txt").write_text("000001\n")
    cats = "".join(
        f"<object><name>cat</name><pose>x</pose><truncated>0</truncated><difficult>{difficult}</difficult><bndbox>"
        f"<xmin>{x}</xmin><ymin>1</ymin><xmax>{x + 19}</xmax><ymax>20</ymax></bndbox></object>"
        for x, difficult in ((1, 0), (31, 0), (61, 1))
    )
    size = "<size><width>100</width><height>50</height><depth>3</depth></size>"
    (folder / "Annotations" / "000001.xml").write_text(f"<annotation>{size}{cats}</annotation>")
    return folder


def coco_evaluator(name: str) -> Any:
    from transfer.engines.detectron2_evaluators import COCOEvaluator

    return COCOEvaluator(name, ("bbox",), use_fast_impl=False)


def test_finding_every_coco_object_exactly_scores_100_and_names_each_class(coco_test: str) -> None:
    box = evaluate(coco_evaluator(coco_test), coco_test)["bbox"]
    assert box["AP"] == box["AP50"] == pytest.approx(100.0)
    assert {"AP", "AP50", "AP75", "APs", "APm", "APl"} <= set(box)
    present = [value for key, value in box.items() if key.startswith("AP-") and not np.isnan(value)]
    # The corpus has ten of the eighty categories; the others have no number.
    assert len(present) == 10
    assert sum(key.startswith("AP-") for key in box) == 80


def test_both_coco_libraries_give_equal_numbers(digits_root: Path, coco_test: str, tmp_path: Path) -> None:
    import faster_coco_eval
    import pycocotools.coco
    import pycocotools.cocoeval

    official = (pycocotools.coco.COCO, pycocotools.cocoeval.COCOeval)
    faster = (faster_coco_eval.COCO, faster_coco_eval.COCOeval_faster)
    evaluator = coco_evaluator(coco_test)
    evaluator._output_dir = str(tmp_path)
    evaluate(evaluator, coco_test, keep=0.7, shift=6.0)
    truth = str(digits_root / "coco" / "annotations" / "instances_val2017.json")
    stats = []
    for coco_class, eval_class in (official, faster):
        coco = coco_class(truth)
        scored = eval_class(coco, coco.loadRes(str(tmp_path / "coco_instances_results.json")), "bbox")
        scored.evaluate()
        scored.accumulate()
        scored.summarize()
        stats.append(np.asarray(scored.stats)[:12])
    np.testing.assert_allclose(stats[0], stats[1], rtol=0, atol=1e-12)


def test_without_pycocotools_the_faster_library_takes_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    class Faster:
        @staticmethod
        def init_as_pycocotools() -> None:
            calls.append("in its place")

    original = importlib.util.find_spec
    found = {"pycocotools": None, "faster_coco_eval": object()}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found[name] if name in found else original(name))
    monkeypatch.setitem(__import__("sys").modules, "faster_coco_eval", Faster)
    assert detectron2_compat.coco_api.__wrapped__() == "faster-coco-eval"
    assert calls == ["in its place"]


def test_every_detection_is_kept_with_its_image_class_and_score(tmp_path: Path) -> None:
    from transfer.engines.detectron2_evaluators import detection_count, save_detections

    rows = [
        {"image_id": "7", "boxes": np.ones((2, 4)), "scores": np.array([0.9, 0.1]), "classes": np.array([3, 4])},
        {"image_id": "8", "boxes": np.zeros((0, 4)), "scores": np.zeros(0), "classes": np.zeros(0)},
        {"image_id": "9", "boxes": np.full((1, 4), 5.0), "scores": np.array([0.5]), "classes": np.array([0])},
    ]
    save_detections(rows, ["a", "b", "c", "d", "e"], tmp_path / "found.npz")
    assert detection_count(tmp_path / "found.npz") == 3
    with np.load(tmp_path / "found.npz") as content:
        assert content["image_ids"][content["image"]].tolist() == ["7", "7", "9"]
        assert content["class_names"][content["classes"]].tolist() == ["d", "e", "a"]
        assert content["boxes"].shape == (3, 4)
