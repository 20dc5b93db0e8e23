"""No setting drifts unseen: the committed texts are what Detectron2 sees, and say what the protocols say."""

from dataclasses import replace
from typing import Any

import pytest
import yaml

from transfer.detection_protocols import PROTOCOLS
from transfer.engines import detectron2_config

pytestmark = pytest.mark.engine


def parsed(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(detectron2_config.committed(name).read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize("name", detectron2_config.full_size_names())
def test_the_committed_text_is_what_detectron2_sees(name: str) -> None:
    # After a change that is meant: python -m transfer.engines.detectron2_config
    assert detectron2_config.text(PROTOCOLS[name]) == detectron2_config.committed(name).read_text(encoding="utf-8")


def test_there_is_one_text_for_each_full_size_protocol() -> None:
    found = {path.stem for path in detectron2_config.CONFIGS_FOLDER.iterdir()}
    assert found == {name for name in PROTOCOLS if "-demo" not in name}


def test_the_committed_voc_text_holds_the_papers_schedule_and_mocos_model() -> None:
    voc = parsed("voc0712")
    solver = voc["SOLVER"]
    assert (solver["MAX_ITER"], solver["IMS_PER_BATCH"], solver["BASE_LR"]) == (24000, 16, 0.05)
    assert (solver["STEPS"], solver["GAMMA"]) == ([18000, 22000], 0.1)
    assert (solver["WARMUP_ITERS"], solver["WARMUP_FACTOR"], solver["WARMUP_METHOD"]) == (1000, 0.333, "linear")
    assert (solver["MOMENTUM"], solver["NESTEROV"], solver["WEIGHT_DECAY"]) == (0.9, False, 0.0001)
    assert solver["AMP"]["ENABLED"] is False
    assert voc["MODEL"]["ROI_HEADS"]["NAME"] == "Res5ROIHeadsExtraNorm"
    assert voc["MODEL"]["ROI_HEADS"]["NUM_CLASSES"] == 20
    assert (voc["MODEL"]["RPN"]["PRE_NMS_TOPK_TEST"], voc["MODEL"]["RPN"]["POST_NMS_TOPK_TEST"]) == (6000, 1000)
    assert voc["INPUT"]["MIN_SIZE_TRAIN"] == [480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800]
    assert (voc["INPUT"]["MIN_SIZE_TEST"], voc["INPUT"]["MAX_SIZE_TEST"]) == (800, 1333)
    assert voc["DATASETS"]["TRAIN"] == ["voc_2007_trainval", "voc_2012_trainval"]
    assert voc["DATASETS"]["TEST"] == ["voc_2007_test"]


def test_the_committed_coco_text_holds_the_papers_schedule_and_an_fpn_with_norms() -> None:
    coco = parsed("coco")
    solver = coco["SOLVER"]
    assert (solver["MAX_ITER"], solver["IMS_PER_BATCH"], solver["BASE_LR"]) == (90000, 16, 0.04)
    assert (solver["STEPS"], solver["WARMUP_ITERS"]) == ([60000, 80000], 50)
    assert coco["MODEL"]["FPN"]["NORM"] == "SyncBN"
    assert coco["MODEL"]["MASK_ON"] is True
    # Detectron2's own heads: two fully connected layers, four convolutions, no norms.
    box, mask = coco["MODEL"]["ROI_BOX_HEAD"], coco["MODEL"]["ROI_MASK_HEAD"]
    assert (box["NUM_FC"], box["NUM_CONV"], box["NORM"]) == (2, 0, "")
    assert (mask["NUM_CONV"], mask["NORM"]) == (4, "")
    assert coco["INPUT"]["MIN_SIZE_TRAIN"] == [640, 672, 704, 736, 768, 800]


@pytest.mark.parametrize("name", detectron2_config.full_size_names())
def test_no_committed_text_lets_detectron2s_unfitting_defaults_through(name: str) -> None:
    config = parsed(name)
    model = config["MODEL"]
    assert config["INPUT"]["FORMAT"] == "RGB"
    assert model["PIXEL_STD"] == [58.395, 57.12, 57.375]
    assert model["PIXEL_MEAN"] == [123.675, 116.28, 103.53]
    assert model["RESNETS"]["STRIDE_IN_1X1"] is False
    assert model["RESNETS"]["NORM"] in ("SyncBN", "naiveSyncBN")
    assert model["BACKBONE"]["FREEZE_AT"] == 0
    assert model["WEIGHTS"] == ""
    assert config["TEST"]["PRECISE_BN"] == {"ENABLED": True, "NUM_ITER": 200}


def test_a_smaller_batch_stretches_the_whole_schedule() -> None:
    solver = detectron2_config.configuration(replace(PROTOCOLS["voc0712"], batch_divisor=2)).SOLVER
    assert (solver.IMS_PER_BATCH, solver.BASE_LR, solver.MAX_ITER) == (8, 0.025, 48_000)
    assert (tuple(solver.STEPS), solver.WARMUP_ITERS, solver.WARMUP_FACTOR) == ((36_000, 44_000), 2000, 0.333)
