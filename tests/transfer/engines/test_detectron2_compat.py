"""Detectron2 becomes importable, quietly, or the user hears what to install."""

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from results.refusal import Refusal
from transfer.engines import detectron2_compat

ROOT = Path(__file__).parents[3]


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """Names in this set cannot be found."""
    names: set[str] = set()
    original = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in names else original(name))
    yield names


def test_without_detectron2_the_refusal_says_what_to_run(absent: set[str]) -> None:
    absent.add("detectron2")
    with pytest.raises(Refusal, match="Detectron2 is not installed; run `make setup`"):
        detectron2_compat.prepare.__wrapped__()


def test_without_any_coco_library_the_refusal_names_both(absent: set[str]) -> None:
    absent.update({"pycocotools", "faster_coco_eval"})
    with pytest.raises(Refusal, match="neither pycocotools nor faster-coco-eval"):
        detectron2_compat.coco_api.__wrapped__()


@pytest.mark.engine
def test_pycocotools_is_used_when_it_is_there() -> None:
    assert detectron2_compat.coco_api() == "pycocotools"


@pytest.mark.engine
def test_all_that_is_used_of_detectron2_imports_without_a_warning() -> None:
    program = (
        "from transfer.engines import detectron2_compat\n"
        "assert (detectron2_compat.prepare() / 'Base-RCNN-C4.yaml').is_file()\n"
        "from transfer.engines import detectron2_head, detectron2_evaluators, detectron2_trainer, detectron2_proof\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr == ""


@pytest.mark.engine
def test_region_pooling_and_suppression_need_no_compiled_extension() -> None:
    import torch

    detectron2_compat.prepare()
    from detectron2.layers import ROIAlign, batched_nms

    pooled = ROIAlign((2, 2), 1.0, 0)(torch.ones(1, 1, 8, 8), torch.tensor([[0.0, 0.0, 0.0, 4.0, 4.0]]))
    assert torch.equal(pooled, torch.ones(1, 1, 2, 2))
    boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0]] * 2)
    kept = batched_nms(boxes, torch.tensor([0.5, 0.9]), torch.zeros(2, dtype=torch.int64), 0.5)
    assert kept.tolist() == [1]
