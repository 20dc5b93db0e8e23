"""The C4 box head with a batch norm after res5, as MoCo and those who follow it fine-tune on VOC.

Importing this module makes the class known to Detectron2's registry under its name.
"""

from typing import Any

from torch import nn

from transfer.engines import detectron2_compat

detectron2_compat.prepare()

from detectron2.layers import get_norm  # noqa: E402  (only after prepare)
from detectron2.modeling.roi_heads import ROI_HEADS_REGISTRY, Res5ROIHeads  # noqa: E402


@ROI_HEADS_REGISTRY.register()
class Res5ROIHeadsExtraNorm(Res5ROIHeads):  # type: ignore[misc]
    """Res5 applied to each region, then one norm layer of MODEL.RESNETS.NORM, then the box predictor."""

    @classmethod
    def _build_res5_block(cls, cfg: Any) -> tuple[nn.Sequential, int]:
        """The three blocks of res5 and the norm as a fourth module, so that res5's tensors keep their names."""
        blocks, channels = super()._build_res5_block(cfg)
        return nn.Sequential(*blocks, get_norm(cfg.MODEL.RESNETS.NORM, channels)), channels
