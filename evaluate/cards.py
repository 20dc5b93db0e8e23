"""Protocol cards: for each setting of a named protocol its value, where it comes from, and what was open. Torch-free.

The values are read off the protocol objects, so a card cannot drift from what is run; a test demands a source for
every field. `python -m evaluate cards` writes them where the results room finds them.
"""

import dataclasses

from evaluate.protocols import PROTOCOLS, Protocol
from results.cards import Card, Setting, Source

PAPER = "paper, appendix B.3"
PAPER_KNN = "paper, appendix C.1"
CODE = "released code (vicreg 4e12602), evaluate.py"
NPID = "NPID (Wu et al. 2018), section 3.4 and its code"
DINO = "DINO (7c446df), eval_knn.py"
OURS = "chosen here"
LATER = "released code; the paper says 0.2"

_VIEWS: dict[str, Source] = {
    "test_view.resize": (CODE, "the paper only says 'center cropped and resized to 224 x 224'; 256 is the short side"),
    "test_view.crop": (PAPER, "224 x 224"),
    "test_view.interpolation": (CODE, "torchvision's default, with PIL's antialiasing; DINO's kNN uses bicubic"),
    "train_view.crop": (PAPER, "224 x 224"),
    "train_view.scale_min": (
        LATER,
        "the one setting where the released code (torchvision's default, 0.08) contradicts the paper (0.2); the "
        "published numbers come with the code. The paper's value is the protocol '<name>-paper-crop'; no public A/B",
    ),
    "train_view.scale_max": (PAPER, "1.0"),
    "train_view.flip_probability": (PAPER, "'random horizontal flips', probability unstated; 0.5 in the released code"),
    "train_view.interpolation": (CODE, "unstated in the paper; torchvision's default"),
}

_PROBE: dict[str, Source] = {
    **_VIEWS,
    "task": ("paper, Table 1", "the column; it fixes the list of training images"),
    "epochs": (PAPER, "100 for the linear cells, 20 for the semi-supervised ones"),
    "global_batch_size": (PAPER, "256; the last, smaller batch is used too (5,005 steps; 51 and 501), as in the code"),
    "head_learning_rates": (
        PAPER,
        "not scaled by the batch size. The released command line's default is 0.3 and its README passes an argument "
        "that does not exist; further rates train further heads in the same pass, for the details only",
    ),
    "trunk_learning_rate": (PAPER, "0 freezes the trunk, which then stays in evaluation mode, statistics included"),
    "momentum": (CODE, "the paper names no momentum; no Nesterov, no dampening"),
    "weight_decay": (PAPER, "on the weights and the bias; 0 for the semi-supervised cells"),
    "head_initial_std": (CODE, "weights N(0, 0.01), bias 0; the paper does not say"),
    "statistics_batch_size": (
        CODE,
        "only where the trunk is fine-tuned. The released code runs 8 ranks of 32 images without synchronised batch "
        "norm, and the first rank's running statistics are the ones evaluated; that is kept on any number of ranks",
    ),
    "reported": (
        OURS,
        "the paper does not say which epoch; the released code prints the running maximum over validation, which "
        "selects on the set it measures. The last epoch's number is the cell's, the best one is recorded beside it",
    ),
}  # fmt: skip

_KNN: dict[str, Source] = {
    **{name: source for name, source in _VIEWS.items() if name.startswith("test_view")},
    "neighbours": ("paper, Table 5", "20 and 200, both from one search"),
    "temperature": (NPID, "the paper follows 'recent protocols' and names none; NPID and DINO use 0.07, SimSiam 0.2"),
    "other_temperatures": (OURS, "0.1 is VISSL's and lightly's; recorded beside the cell, with the unweighted vote"),
}

_FIXED_PROBE = (
    ("schedule", "cosine to 0, set once per epoch", PAPER, "per epoch is the released code's; no warm-up"),
    ("feature", "2048-d global average pool, not normalised", CODE, "the paper says 'frozen representations'"),
    ("loss", "cross-entropy", CODE, "unstated"),
    ("order", "a permutation of all images per epoch, from the seed", OURS, "equal on any number of ranks"),
    ("metric", "top-1 and top-5 on all validation images, each once", "paper, Table 1", ""),
)
_FIXED_KNN = (
    ("bank", "all training images, each once, without augmentation", PAPER_KNN, "'built on the training set'"),
    ("feature", "2048-d global average pool of the trunk in evaluation mode", DINO, "NPID votes with its 128-d output"),
    ("normalisation", "l2, cosine similarity in float32", NPID, "VISSL leaves features unnormalised by default"),
    ("weights", "exp(cosine / temperature), summed by class", NPID, "the paper does not say weighted or not"),
    ("ties", "lower bank index nearer; lower class index first", OURS, "no source defines them"),
    ("metric", "top-1 on all validation images", "paper, Table 5", ""),
)  # fmt: skip

_OPEN_PROBE = (
    "Final or best epoch: unstated; on ImageNet the two differ by about 0.1 point.",
    "Area of the training crops: 0.2 in the text, 0.08 in the released code.",
    "Seeds: none stated; the later version of the paper speaks of 3 and of less than 0.1 point between them (linear).",
)
_OPEN_SEMI = (*_OPEN_PROBE, "Batch statistics while fine-tuning: unstated; 32 images, as 8 unsynchronised ranks have.")
_OPEN_KNN = (
    "Feature, normalisation, weighting, temperature and resizing: all unstated.",
    "DINO's own table has other numbers for the same checkpoints, so Table 5 was not made with DINO's script; compare "
    "with the SwAV (65.7) and Barlow Twins (64.8) rows measured by this protocol before judging VICReg's.",
)


def card(name: str) -> Card:
    """The card of the protocol `name`."""
    protocol = PROTOCOLS[name]
    is_knn = not hasattr(protocol, "task")
    sources, fixed = (_KNN, _FIXED_KNN) if is_knn else (_PROBE, _FIXED_PROBE)
    settings = [Setting("cells", ", ".join(protocol.cells), "paper, Table 5" if is_knn else "paper, Table 1", "")]
    for field, value in flat_settings(protocol).items():
        settings.append(Setting(field, value, *sources[field]))
        if name.endswith("-paper-crop") and field == "train_view.scale_min":
            settings[-1] = Setting(field, value, PAPER, "the released code crops from 0.08, see the other protocol")
    settings += [Setting(*row) for row in fixed]
    questions = _OPEN_KNN if is_knn else (_OPEN_PROBE if name.startswith("linear") else _OPEN_SEMI)
    return Card(name, tuple(settings), questions)


def flat_settings(protocol: Protocol) -> dict[str, str]:
    """Each field's value as text, nested fields with a dot."""
    found: dict[str, str] = {}
    for field in dataclasses.fields(protocol):
        value = getattr(protocol, field.name)
        if dataclasses.is_dataclass(value):
            inner = {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
            found |= {f"{field.name}.{name}": _text(one) for name, one in inner.items()}
        else:
            found[field.name] = _text(value)
    return found


def card_text(name: str) -> str:
    """The card for a terminal."""
    content = card(name)
    lines = [f"{name}: {PROTOCOLS[name].cells}"]
    for row in content.settings:
        lines.append(f"  {row.setting} = {row.value}  [{row.source}]")
        lines += [f"      {row.note}"] if row.note else []
    return "\n".join([*lines, "open in the sources:", *(f"  - {question}" for question in content.open_questions)])


def full_size_cards() -> list[Card]:
    """Those that are kept as files: all but the demo's."""
    return [card(name) for name in PROTOCOLS if not name.endswith("-demo")]


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
