"""The detection protocols are the paper's text, literally; what it leaves open has a source; nonsense is refused."""

import dataclasses
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from results.cells import is_cell
from results.refusal import Refusal
from results.settings import deviations
from transfer.detection_protocols import COCO, PROTOCOLS, VOC0712, DetectionProtocol

CARDS = Path(__file__).parents[2] / "results" / "paper" / "cards"


def test_voc0712_is_appendix_b4_literally() -> None:
    # "24K iterations with a batch size of 16 [...] learning rate of 0.05, divided by 10 at iteration 18K and 22K and a
    # linear warmup with slope of 0.333 for 1000 iterations"
    assert (VOC0712.iterations, VOC0712.images_per_batch, VOC0712.base_lr) == (24_000, 16, 0.05)
    assert VOC0712.lr_drops == (18_000, 22_000)
    assert (VOC0712.warmup_iterations, VOC0712.warmup_factor) == (1000, 0.333)


def test_coco_is_appendix_b4_literally() -> None:
    # "90K iterations with a batch size of 16, a learning rate of 0.04, divided by 10 at iteration 60K and 80K and with
    # 50 warmup iterations"
    assert (COCO.iterations, COCO.images_per_batch, COCO.base_lr) == (90_000, 16, 0.04)
    assert (COCO.lr_drops, COCO.warmup_iterations) == ((60_000, 80_000), 50)


@pytest.mark.parametrize("protocol", [VOC0712, COCO])
def test_both_fine_tune_every_stage_on_imagenet_normalised_rgb_with_shared_statistics(
    protocol: DetectionProtocol,
) -> None:
    assert (protocol.freeze_at, protocol.channel_order, protocol.stride_in_1x1) == (0, "RGB", False)
    assert (protocol.norm, protocol.precise_bn_iterations) == ("SyncBN", 200)
    # torchvision documents 0.485, 0.456, 0.406 and 0.229, 0.224, 0.225 for pixels from 0 to 1.
    assert protocol.pixel_mean == pytest.approx((0.485 * 255, 0.456 * 255, 0.406 * 255))
    assert protocol.pixel_std == pytest.approx((0.229 * 255, 0.224 * 255, 0.225 * 255))
    assert len(protocol.train_short_sides) > 1


def test_the_two_detectors_differ_where_their_sources_do() -> None:
    assert VOC0712.extra_norm_after_res5 and not COCO.extra_norm_after_res5
    assert (VOC0712.fpn_norm, COCO.fpn_norm) == ("", "SyncBN")
    assert (VOC0712.is_fpn, COCO.is_fpn) == (False, True)


@pytest.mark.parametrize(
    ("name", "named_after", "expected"),
    [
        ("voc0712-iclr", "voc0712", {"base_lr: 0.05 -> 0.1", "rpn_loss_weight: 1.0 -> 0.2"}),
        (
            "voc0712-moco",
            "voc0712",
            {
                "base_lr: 0.05 -> 0.02",
                "warmup_iterations: 1000 -> 100",
                "warmup_factor: 0.333 -> 0.001",
                "norm: SyncBN -> naiveSyncBN",
            },
        ),
        ("coco-vissl", "coco", {"base_lr: 0.04 -> 0.1"}),
        ("coco-moco", "coco", {"base_lr: 0.04 -> 0.02", "warmup_iterations: 50 -> 1000"}),
    ],
)
def test_a_variant_differs_in_what_its_source_says_and_in_nothing_else(
    name: str, named_after: str, expected: set[str]
) -> None:
    assert set(deviations(PROTOCOLS[named_after], PROTOCOLS[name])) == expected


@pytest.mark.parametrize("name", [name for name in PROTOCOLS if "-demo" in name])
def test_a_demo_is_the_full_size_protocol_with_other_numbers(name: str) -> None:
    full = PROTOCOLS[name.split("-demo")[0]]
    same = ("dataset", "cells", "base_config", "norm", "fpn_norm", "extra_norm_after_res5", "freeze_at")
    same += ("channel_order", "pixel_mean", "pixel_std", "stride_in_1x1", "batch_divisor")
    assert [field for field in same if getattr(PROTOCOLS[name], field) != getattr(full, field)] == []


@pytest.mark.parametrize("name", ["voc0712", "coco"])
def test_the_card_gives_every_setting_as_it_is_with_its_source(name: str) -> None:
    card = json.loads((CARDS / f"{name}.json").read_text(encoding="utf-8"))
    shown = {item["setting"]: item["value"] for item in card["settings"]}
    used = dataclasses.asdict(PROTOCOLS[name])
    assert shown == {key: ", ".join(map(str, v)) if isinstance(v, tuple) else str(v) for key, v in used.items()}
    assert [item["setting"] for item in card["settings"] if len(item["source"]) < 4] == []
    assert len(card["open_questions"]) == 2


def test_every_cell_is_one_of_the_papers() -> None:
    assert [cell for protocol in PROTOCOLS.values() for cell in protocol.cells if not is_cell(cell)] == []


def test_a_batch_divisor_scales_batch_learning_rate_and_iterations_together() -> None:
    quarter = replace(VOC0712, batch_divisor=4)
    assert (quarter.effective_images_per_batch, quarter.effective_lr, quarter.effective_iterations) == (
        4,
        0.0125,
        96_000,
    )
    assert deviations(VOC0712, quarter) == ("batch_divisor: 1 -> 4",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lr_drops": (22_000, 18_000)}, "protocol.lr_drops is"),
        ({"lr_drops": (18_000, 24_000)}, "below protocol.iterations"),
        ({"iterations": 0, "lr_drops": ()}, "must be positive"),
        ({"base_lr": -0.1}, "must be positive"),
        ({"batch_divisor": 3}, "does not divide protocol.images_per_batch 16"),
        ({"warmup_factor": 0.0}, "warmup_factor is in"),
        ({"precise_bn_iterations": -1}, "precise_bn_iterations start at 0"),
        ({"train_short_sides": ()}, "at least 32 pixels"),
        ({"test_short_side": 8}, "at least 32 pixels"),
    ],
)
def test_impossible_settings_are_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(Refusal, match=message):
        replace(VOC0712, **changes)


def test_an_fpn_refuses_the_c4_heads_norm_and_a_wrong_number_of_anchors() -> None:
    with pytest.raises(Refusal, match="extra_norm_after_res5 belongs to the C4 head"):
        replace(COCO, extra_norm_after_res5=True)
    with pytest.raises(Refusal, match="needs 5 sizes for an FPN, found 1"):
        replace(COCO, anchor_sizes=(32,))


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"base_lr": math.nan}, "base_lr"),
        ({"rpn_loss_weight": -1.0}, "rpn_loss_weight"),
        ({"pixel_mean": (math.inf, 0.0, 0.0)}, "pixel_mean"),
        ({"pixel_std": (0.0, 1.0, 1.0)}, "pixel_std"),
        ({"freeze_at": 6}, "freeze_at"),
        ({"proposals_test": 0}, "proposals_test"),
    ],
)
def test_numbers_that_are_none_or_out_of_range_are_refused(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(Refusal, match=rf"protocol\..*{field}"):
        replace(COCO, **settings)
