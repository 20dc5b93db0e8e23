"""The C4 head with the extra norm: res5 as it was, one batch norm after it, and names that still match."""

from typing import Any

import pytest
import torch

from transfer.detection_protocols import VOC0712
from transfer.engines import detectron2_config

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def heads() -> tuple[Any, Any]:
    """(with, without) the extra norm, on the same random weights."""
    from detectron2.modeling.roi_heads import Res5ROIHeads

    from transfer.engines.detectron2_head import Res5ROIHeadsExtraNorm

    config = detectron2_config.configuration(VOC0712)
    config.MODEL.RESNETS.NORM = "BN"
    torch.manual_seed(0)
    plain, channels = Res5ROIHeads._build_res5_block(config)
    extra, extra_channels = Res5ROIHeadsExtraNorm._build_res5_block(config)
    assert channels == extra_channels == 2048
    return extra, plain


def test_it_adds_one_batch_norm_of_2048_channels_and_nothing_else(heads: tuple[Any, Any]) -> None:
    extra, plain = heads
    added = set(extra.state_dict()) - set(plain.state_dict())
    assert added == {f"3.{name}" for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")}
    assert set(plain.state_dict()) <= set(extra.state_dict())
    assert extra.state_dict()["3.weight"].shape == (2048,)


def test_its_output_is_res5s_output_normalised_over_the_batch(heads: tuple[Any, Any]) -> None:
    extra, plain = heads
    extra.load_state_dict(plain.state_dict(), strict=False)
    regions = torch.randn(3, 1024, 8, 8, generator=torch.Generator().manual_seed(1))
    extra.train()
    plain.train()
    with torch.no_grad():
        found, before = extra(regions), plain(regions)
    mean = before.mean(dim=(0, 2, 3), keepdim=True)
    variance = before.var(dim=(0, 2, 3), keepdim=True, unbiased=False)
    torch.testing.assert_close(found, (before - mean) / (variance + 1e-5).sqrt(), rtol=1e-4, atol=1e-4)


def test_the_norm_is_of_the_backbones_kind() -> None:
    from transfer.engines.detectron2_head import Res5ROIHeadsExtraNorm

    blocks, _ = Res5ROIHeadsExtraNorm._build_res5_block(detectron2_config.configuration(VOC0712))
    assert isinstance(blocks[3], torch.nn.SyncBatchNorm)
