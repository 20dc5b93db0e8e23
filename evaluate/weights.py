"""Which weights are meant: a file, a known name, or the random control; with their digest. Torch-free."""

import contextlib
import hashlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evaluate.pretraining import recipe_name
from pretrain.card import fitting_card
from results import atomic
from results.records import CheckpointIdentity
from results.refusal import Refusal
from results.sealed import given_file_sha256

RANDOM_INIT = "random-init"
DEFAULT_LABEL = "VICReg"
SUPERVISED = "Supervised"


@dataclass(frozen=True)
class KnownWeights:
    """Published weights: the paper's row, where they lie, and the start of the digest that the file must have.

    `sha256` and `md5` are leading hex digits as published or as recorded by others; where both are empty nobody has
    recorded one, and the digest of the first download is kept beside the file and demanded from then on.
    """

    label: str
    url: str
    sha256: str = ""
    md5: str = ""


_FAIR = "https://dl.fbaipublicfiles.com"
KNOWN_WEIGHTS: dict[str, KnownWeights] = {
    # Digest as in LightlySSL's and others' loaders ("resnet50-c843e76524.pth").
    "vicreg-resnet50": KnownWeights(
        "VICReg",
        f"{_FAIR}/vicreg/resnet50.pth",
        sha256="c843e7652491ff2f712734619fd74d85e5e92ac902615665ad3fd50dc6ada591",
    ),
    "vicreg-resnet50-full": KnownWeights("VICReg", f"{_FAIR}/vicreg/resnet50_fullckpt.pth"),
    "barlowtwins-resnet50": KnownWeights("Barlow Twins", f"{_FAIR}/barlowtwins/ljng/resnet50.pth"),
    "swav-resnet50": KnownWeights("SwAV (w/ multi-crop)", f"{_FAIR}/deepcluster/swav_800ep_pretrain.pth.tar"),
    "dino-resnet50": KnownWeights("DINO", f"{_FAIR}/dino/dino_resnet50_pretrain/dino_resnet50_pretrain.pth"),
    "simsiam-resnet50": KnownWeights(
        "SimSiam (100 epochs)", f"{_FAIR}/simsiam/models/100ep-256bs/pretrain/checkpoint_0099.pth.tar"
    ),
    # MD5 prefix from the table in MoCo's README.
    "mocov2-resnet50": KnownWeights(
        "MoCo v2", f"{_FAIR}/moco/moco_checkpoints/moco_v2_800ep/moco_v2_800ep_pretrain.pth.tar", md5="a04e12f8"
    ),
    # torchvision writes the digest into the file's name.
    "torchvision-supervised": KnownWeights(
        SUPERVISED,
        "https://download.pytorch.org/models/resnet50-0676ba61.pth",
        sha256="0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
    ),
}


@dataclass(frozen=True)
class ResolvedWeights:
    """Weights that exist on this machine. `path` is None for the random control.

    `part` names one backbone of several in the file ("teacher"); `sha256` is that of the file as given, and of
    "<file's sha256>#<part>" where a part was chosen, so that two parts of one file are two checkpoints. `card` is what
    `pretrain` wrote beside the file; `label_assumed` says that nothing names the row and the method's was taken.
    """

    path: Path | None
    sha256: str
    label: str
    origin: str
    part: str = ""
    card: Mapping[str, Any] = field(default_factory=dict, compare=False)
    label_assumed: bool = False

    def identity(self, label: str = "", cell: str = "") -> CheckpointIdentity:
        """What a record of `cell` says of these weights; `label` overrides the row they belong to."""
        own, origin = self.label, self.origin
        if own == SUPERVISED and "/semi_" in cell:
            own = f"{SUPERVISED} (all labels)"  # the paper's row is trained on the few labels alone
        if self.label_assumed and not label:
            origin += f" (no card and no label given: taken for {own})"
        return CheckpointIdentity(sha256=self.sha256, origin=origin, label=label or own)


def resolve(checkpoint: str) -> ResolvedWeights:
    """Find `checkpoint`: "random-init", a known name, a path, or "PATH#PART".

    Raises:
        Refusal: there is no such file, it is not the one its card or the recorded digest describes, or known weights
            have not been downloaded yet; the message says what to do.
    """
    if not checkpoint:
        raise Refusal(f"run.checkpoint is empty; give a weights file or a known name such as {RANDOM_INIT}")
    if checkpoint == RANDOM_INIT:
        digest = hashlib.sha256(RANDOM_INIT.encode()).hexdigest()
        return ResolvedWeights(None, digest, "random init", "random initialisation, seed 0")
    if checkpoint in KNOWN_WEIGHTS:
        return _resolve_known(checkpoint)
    path, part = _split(checkpoint)
    if not path.is_file():
        kind = "is a folder" if path.is_dir() else "does not exist"
        known = ", ".join([RANDOM_INIT, *KNOWN_WEIGHTS])
        raise Refusal(f"{path} {kind}; give a weights file or one of: {known}")
    digest = given_file_sha256(path)
    card = fitting_card(path, digest) or {}
    label = str(card.get("label") or _published_label(digest))
    name = recipe_name(card)
    origin = f"{checkpoint} (recipe {name}, epoch {card.get('epoch', '')})" if name else checkpoint
    return ResolvedWeights(
        path, _with_part(digest, part), label or DEFAULT_LABEL, origin, part, card, label_assumed=not label
    )


def say_if_assumed(weights: ResolvedWeights, label: str) -> None:
    """One line on stderr where neither the weights nor `label` (run.label) name the row that the record is for."""
    if weights.label_assumed and not label and os.environ.get("RANK", "0") == "0":
        print(
            f"warning: {weights.path} has no card and no --run.label is given: taken for {weights.label}'s; "
            "give --run.label to say what it is",
            file=sys.stderr,
        )


def cache_folder() -> Path:
    """Where downloaded weights are kept: $VICREG_WEIGHTS, else below the user's cache folder."""
    if chosen := os.environ.get("VICREG_WEIGHTS"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vicreg-reproduction"


def cached_file(name: str) -> Path:
    """Where the known weights `name` are kept once downloaded."""
    return cache_folder() / f"{name}.pth"


def digest_file(path: Path) -> Path:
    """The sidecar that keeps the SHA-256 of a download."""
    return path.with_name(path.name + ".sha256")


def _resolve_known(name: str) -> ResolvedWeights:
    known, path = KNOWN_WEIGHTS[name], cached_file(name)
    if not path.is_file():
        raise Refusal(
            f"{name} is not on this machine: run `python -m evaluate download {name}`, "
            f"or put {known.url} at {path} yourself"
        )
    digest, kept = given_file_sha256(path), digest_file(path)
    if not kept.is_file():
        _keep_digest(name, path, digest)
    recorded = known.sha256 or (kept.read_text().strip() if kept.is_file() else "")
    if not digest.startswith(recorded):
        raise Refusal(
            f"{path} is not the recorded {name} (SHA-256 {digest[:12]}…, recorded {recorded[:12]}…); "
            f"delete it and run `python -m evaluate download {name}`"
        )
    return ResolvedWeights(path, digest, known.label, known.url)


def _keep_digest(name: str, path: Path, digest: str) -> None:
    """A file put there by hand: check what is published of it; from now on it must stay what it is.

    Raises:
        Refusal: it has not the published MD5.
    """
    known = KNOWN_WEIGHTS[name]
    if known.md5:
        with path.open("rb") as file:
            md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if not md5.startswith(known.md5):
            raise Refusal(f"{path} is not the published {name} (MD5 {md5[:12]}…, published {known.md5}…); replace it")
    elif not known.sha256:
        print(f"warning: no published digest: {path} is taken for {name}, SHA-256 {digest}", file=sys.stderr)
    # A cache that cannot be written is checked anew each time.
    if not known.sha256:
        with contextlib.suppress(OSError):
            atomic.write_text(digest_file(path), digest + "\n")


def _split(checkpoint: str) -> tuple[Path, str]:
    path, mark, part = checkpoint.rpartition("#")
    if mark and not Path(checkpoint).exists():
        return Path(path), part
    return Path(checkpoint), ""


def _with_part(digest: str, part: str) -> str:
    return hashlib.sha256(f"{digest}#{part}".encode()).hexdigest() if part else digest


def _published_label(digest: str) -> str:
    """The row of published weights that lie under another name."""
    return next((known.label for known in KNOWN_WEIGHTS.values() if known.sha256 == digest), "")
