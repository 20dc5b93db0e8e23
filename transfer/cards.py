"""Protocol cards of the linear columns: each setting's value, its source, and what was open. Torch-free.

The values are read off the protocol objects, so a card cannot drift from what is run; a test demands a source for
every field. `python -m transfer cards` writes them where the results room finds them.
"""

import dataclasses

from results.cards import Card, Setting, Source
from transfer.protocols import PROTOCOLS, Head, LinearProtocol, SvmProtocol

PAPER = "paper, appendix B.4"
PLACES_FILE = "VISSL, places205/eval_resnet_8gpu_transfer_places205_linear.yaml"
INAT_FILE = "VISSL, inaturalist18/eval_resnet_8gpu_transfer_inaturalist18_linear.yaml"
VOC_FILE = "VISSL, voc07/eval_resnet_8gpu_transfer_voc07_svm.yaml"
VOC_CODE = "VISSL, vissl/utils/svm_utils/svm_trainer.py"
OURS = "chosen here"


def _linear_sources(protocol: LinearProtocol) -> dict[str, Source]:
    file = PLACES_FILE if protocol.dataset == "places205" else INAT_FILE
    equal = (OURS, "not the paper's 4, 8, 12: equal thirds of 28 epochs, as SwAV's text and mmselfsup have it")
    return {
        "dataset": ("paper, Table 2", ""),
        "cell": ("paper, Table 2", "top-1 on the validation split after the last epoch; the best epoch is beside it"),
        "cell_head": (
            OURS,
            "the paper does not say which layer; 2048-d is what Barlow Twins and SwAV evaluate. All heads are in the "
            "record; compare torchvision's supervised weights with 53.2 (Places205) and 46.7 (iNat18) to judge",
        ),
        "epochs": (PAPER, ""),
        "peak_lr": (PAPER, "for batch 256; VISSL's file has 0.01"),
        "drop_epochs": equal if protocol.drop_epochs == (7, 14, 21) else (PAPER, "divided by 10 after these epochs"),
        "weight_decay": (PAPER, "VISSL's file has 5e-4; not on the batch norm's scale and shift, as there"),
        "momentum": (PAPER, ""),
        "nesterov": (file, "unstated in the paper"),
        "global_batch_size": (PAPER, ""),
        "image_size": (file, "unstated in the paper"),
        "resize": (file, "short side at test time, then the central square"),
        "crop_area": (file, "torchvision's default; unstated in the paper"),
        "flip": (file, "unstated in the paper"),
        "heads": (
            f"{file}; res5avg for Places205 as in the file for iNat18",
            "each head is an average pool, a trainable batch norm and a linear layer. Without the norm a user got "
            "41 % instead of 54.3 on Places205 and 10 % instead of 47 on iNat18 (vicreg issue 17). Heads share "
            "nothing: for iNat18 all six hold 0.4 billion numbers, and --protocol.heads res5 res5avg gives those two "
            "unchanged",
        ),
    }


_SVM: dict[str, Source] = {
    "dataset": ("paper, Table 2", "VOC2007 trainval and test"),
    "cell": ("paper, Table 2", "mean over 20 classes of VISSL's AP: the area under the monotone curve, not 11-point"),
    "image_size": (PAPER, "224"),
    "resize": (VOC_FILE, "256 before the crop"),
    "crop": (
        PAPER,
        "'center cropped and resized'; VISSL's file squashes to 224 x 224 instead (voc07-squash). The centre crop with "
        "2048-d features gave SwAV's 88.9 exactly (barlowtwins issue 32)",
    ),
    "feature": (OURS, "2048-d average pool; VISSL's file takes 8192-d res5 among others (voc07-res5)"),
    "costs": (VOC_FILE, "confirmed by the author (vicreg issue 10)"),
    "folds": (VOC_FILE, "stratified, unshuffled; scored by scikit-learn's average precision"),
    "positive_weight": (VOC_CODE, "class_weight {1: 2, -1: 1}"),
    "negative_weight": (VOC_CODE, ""),
    "tolerance": (VOC_CODE, ""),
    "max_iterations": (VOC_FILE, "VISSL's trainer stops there; this suite's own goes to the tolerance"),
    "norm_epsilon": (VOC_CODE, "features are divided by their norm plus this"),
}

_FIXED_SVM = (
    ("difficult objects", "negatives in training, left out of the test", VOC_CODE, "per class and image"),
    ("intercept", "regularised like a weight", VOC_CODE, "scikit-learn's LinearSVC with intercept_scaling 1"),
)
_FIXED_LINEAR = (
    ("trunk", "frozen, in evaluation mode", "VISSL, vissl/models/trunks/feature_extractor.py", "checked after the run"),
    ("batch norm over GPUs", "synchronised", PLACES_FILE, "torch's instead of apex's"),
)

_OPEN = {
    "places205": (
        "Drops at 4, 8 and 12 leave 16 of 28 epochs at a rate of 3e-6: VISSL's milestones with SwAV's length. The text "
        "is followed first; places205-equal-drops is the other reading.",
        "Which layer, and whether the last or the best epoch, is not said.",
    ),
    "inat18": ("Which layer, and whether the last or the best epoch, is not said.",),
    "voc07": (
        "Which feature, and which of two incompatible VOC07 protocols the BYOL and SimCLR rows of Table 2 come from "
        "(vissl issue 432), is not said.",
    ),
}


def card(name: str) -> Card:
    """The card of the protocol `name`."""
    protocol = PROTOCOLS[name]
    if isinstance(protocol, SvmProtocol):
        sources, fixed = _SVM | _variant_sources(protocol), _FIXED_SVM
    else:
        sources, fixed = _linear_sources(protocol), _FIXED_LINEAR
    settings = [
        Setting(field.name, _text(getattr(protocol, field.name)), *sources[field.name])
        for field in dataclasses.fields(protocol)
    ]
    settings += [Setting(*row) for row in fixed]
    return Card(name, tuple(settings), _OPEN[protocol.dataset])


def full_size_cards() -> list[Card]:
    """Those that are kept as files: all but the demo's."""
    return [card(name) for name in PROTOCOLS if not name.endswith("-demo")]


def _variant_sources(protocol: SvmProtocol) -> dict[str, Source]:
    changed: dict[str, Source] = {}
    if protocol.crop == "squash":
        changed["crop"] = (VOC_FILE, "the short side to 256, then the whole image to 224 x 224; the paper crops")
    if protocol.feature.layer == "res5":
        changed["feature"] = (VOC_FILE, "res5 by a 6 x 6 average pool with stride 1: 2 x 2 x 2048 numbers")
    return changed


def _text(value: object) -> str:
    if isinstance(value, Head):
        pool = f" ({value.kernel} x {value.kernel} pool, stride {value.stride}, padding {value.padding})"
        return value.layer + (pool if value.kernel else "")
    return ", ".join(map(_text, value)) if isinstance(value, tuple) else str(value)
