"""A protocol as the configuration Detectron2 runs: its own file, and on top of it one line for each of our fields.

`python -m transfer.engines.detectron2_config` writes the committed texts anew, after a change that is meant.
"""

from pathlib import Path
from typing import Any

from results import atomic
from transfer.detection_protocols import PROTOCOLS, DetectionProtocol
from transfer.engines import detectron2_compat

CONFIGS_FOLDER = Path(__file__).parent / "detectron2_configs"


def configuration(protocol: DetectionProtocol) -> Any:
    """Detectron2's configuration node (a `CfgNode`) of `protocol`, without anything of this machine."""
    configs = detectron2_compat.prepare()
    from detectron2.config import get_cfg

    config = get_cfg()
    config.merge_from_file(str(configs / protocol.base_config))
    # The file names MSRA's ImageNet weights; ours come from the checkpoint under test, never from there.
    config.MODEL.WEIGHTS = ""
    _set_schedule(config, protocol)
    _set_model(config, protocol)
    _set_images(config, protocol)
    return config


def text(protocol: DetectionProtocol) -> str:
    """The whole configuration as Detectron2 writes it (YAML), with a line that says what it is."""
    dump: str = configuration(protocol).dump()
    return f"# The whole configuration of this protocol as Detectron2 sees it; a test compares it.\n{dump}"


def committed(name: str) -> Path:
    """Where the text of the protocol `name` is kept."""
    return CONFIGS_FOLDER / f"{name}.yaml"


def full_size_names() -> tuple[str, ...]:
    """The protocols whose text is kept: all but the demos."""
    return tuple(name for name in PROTOCOLS if "-demo" not in name)


def _set_schedule(config: Any, protocol: DetectionProtocol) -> None:
    solver = config.SOLVER
    solver.IMS_PER_BATCH = protocol.effective_images_per_batch
    solver.BASE_LR = protocol.effective_lr
    solver.MAX_ITER = protocol.effective_iterations
    solver.STEPS = tuple(drop * protocol.batch_divisor for drop in protocol.lr_drops)
    solver.WARMUP_ITERS = protocol.warmup_iterations * protocol.batch_divisor
    solver.WARMUP_FACTOR = protocol.warmup_factor


def _set_model(config: Any, protocol: DetectionProtocol) -> None:
    model = config.MODEL
    model.BACKBONE.FREEZE_AT = protocol.freeze_at
    model.RESNETS.NORM = protocol.norm
    model.RESNETS.STRIDE_IN_1X1 = protocol.stride_in_1x1
    model.FPN.NORM = protocol.fpn_norm
    if protocol.extra_norm_after_res5:
        model.ROI_HEADS.NAME = "Res5ROIHeadsExtraNorm"
    model.ROI_HEADS.BATCH_SIZE_PER_IMAGE = protocol.regions_per_image
    model.RPN.LOSS_WEIGHT = protocol.rpn_loss_weight
    model.RPN.POST_NMS_TOPK_TRAIN = protocol.proposals_train
    model.RPN.POST_NMS_TOPK_TEST = protocol.proposals_test
    sizes = protocol.anchor_sizes
    model.ANCHOR_GENERATOR.SIZES = [[size] for size in sizes] if protocol.is_fpn else [list(sizes)]
    model.PIXEL_MEAN = list(protocol.pixel_mean)
    model.PIXEL_STD = list(protocol.pixel_std)
    config.TEST.PRECISE_BN.ENABLED = protocol.precise_bn_iterations > 0
    config.TEST.PRECISE_BN.NUM_ITER = protocol.precise_bn_iterations


def _set_images(config: Any, protocol: DetectionProtocol) -> None:
    config.INPUT.FORMAT = protocol.channel_order
    config.INPUT.RANDOM_FLIP = "horizontal" if protocol.flip else "none"
    config.INPUT.MIN_SIZE_TRAIN = protocol.train_short_sides
    config.INPUT.MIN_SIZE_TEST = protocol.test_short_side
    config.INPUT.MAX_SIZE_TRAIN = config.INPUT.MAX_SIZE_TEST = protocol.max_long_side


if __name__ == "__main__":
    for full_size in full_size_names():
        atomic.write_text(committed(full_size), text(PROTOCOLS[full_size]))
