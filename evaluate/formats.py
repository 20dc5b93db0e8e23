"""Where the published checkpoints keep their backbone: container, prefix and spelling, told from content alone.

Sources: each library's own saving or converting code (VICReg 4e12602, Barlow Twins 8e8d284, MoCo 132aea9, SwAV 06b1b7c,
SimSiam a7bc177, DINO 7c446df, VISSL 09270ed, solo-learn 9187ea3, lightly e8d317f, mmselfsup db861f3, torchvision,
timm, transformers).
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """One published layout. `container` is the path of dictionaries ("a/b"); `marker` is a key told apart by."""

    name: str
    container: str
    prefix: str
    dialect: str = "torchvision"
    marker: str = ""


_VISSL = "classy_state_dict/base_model/model/trunk"

# The first row that fits names the format; rows with a marker stand before those without.
FORMATS = (
    Format("Barlow Twins training checkpoint", "model", "module.backbone.", marker="module.bn.running_mean"),
    Format("VICReg training checkpoint", "model", "module.backbone.", marker="module.projector.0.weight"),
    Format("MoCo v2", "state_dict", "module.encoder_q.", marker="module.encoder_q.fc.2.weight"),
    Format("MoCo v1", "state_dict", "module.encoder_q.", marker="module.encoder_q.fc.weight"),
    Format("SwAV", "", "module.", marker="module.prototypes.weight"),
    Format("SwAV training checkpoint", "state_dict", "module.", marker="module.prototypes.weight"),
    Format("SimSiam", "state_dict", "module.encoder.", marker="module.predictor.0.weight"),
    Format("DINO teacher", "teacher", "backbone."),
    Format("DINO teacher", "teacher", "module.backbone."),
    Format("DINO student", "student", "module.backbone."),
    Format("DINO student", "student", "backbone."),
    Format("VISSL", _VISSL, "_feature_blocks."),
    Format("VISSL feature extractor", _VISSL, "base_model._feature_blocks."),
    Format("PyContrast (PIRL, InfoMin)", "model", "module.encoder."),
    Format("PyContrast (CMC)", "model", "module.encoder1."),
    Format("PCL", "state_dict", "module.encoder_q."),
    Format("solo-learn", "state_dict", "backbone.", marker="classifier.weight"),
    Format("solo-learn, before its rename", "state_dict", "encoder.", marker="classifier.weight"),
    Format("lightly", "state_dict", "backbone.", marker="projection_head.layers.0.weight"),
    Format("lightly, nn.Sequential", "state_dict", "backbone.", "nn.Sequential"),
    Format("lightly, nn.Sequential", "", "backbone.", "nn.Sequential"),
    Format("nn.Sequential", "", "", "nn.Sequential"),
    Format("mmselfsup", "state_dict", "backbone."),
    Format("Hugging Face transformers", "", "resnet.", "transformers"),
    Format("Hugging Face transformers, backbone only", "", "", "transformers"),
    Format("torchvision or timm", "", "", marker="fc.weight"),
    Format("flat backbone (VICReg, Barlow Twins, DINO, this suite)", "", ""),
    Format("DistributedDataParallel state dict", "state_dict", "module."),
    Format("DistributedDataParallel state dict", "", "module."),
    Format("backbone of a larger model", "", "backbone."),
    Format("backbone of a larger model", "", "module.backbone."),
    Format("encoder of a larger model", "", "encoder."),
    Format("encoder of a larger model", "", "module.encoder."),
    Format("state dict", "state_dict", ""),
    Format("state dict", "model", ""),
)

KNOWN_PREFIXES = frozenset((row.prefix, row.dialect) for row in FORMATS)


def format_name(container: str, prefix: str, dialect: str, keys: Iterable[str]) -> str:
    """The name of the published layout, or a description of it where no row fits."""
    present = set(keys)
    for row in FORMATS:
        if (row.container, row.prefix, row.dialect) == (container, prefix, dialect) and (
            not row.marker or row.marker in present
        ):
            return row.name
    return f"{dialect} names under {prefix!r} in {container or 'the file'!r}"
