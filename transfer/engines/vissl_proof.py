"""The proof of a conversion to VISSL: its own loader puts the file into its own trunk, which then computes the same."""

import logging
from pathlib import Path
from typing import Any

import torch

from evaluate.checkpoint import Backbone
from results.refusal import Refusal
from transfer import keymap
from transfer.engines import vissl_compat
from transfer.engines.vissl_config import BASES
from transfer.proof import FEATURES, Proof, compare, fixed_images, reference_features


def prove(converted: Path, backbone: Backbone) -> Proof:
    """Load `converted` by VISSL's loader into VISSL's ResNet-50 and compare res2 to res5 with the original's.

    Raises:
        Refusal: VISSL is not installed, took fewer tensors than there are, or computes something else.
    """
    with vissl_compat.quiet():
        try:
            model, loaded = _load(converted)
        except ImportError as error:
            raise Refusal(f"VISSL cannot be imported ({error}); run `make setup`") from error
        images = fixed_images()
        with torch.no_grad():
            features = dict(zip(FEATURES, model.trunk(images, list(FEATURES)), strict=True))
    matched = _count_matched(loaded, backbone)
    largest = compare("VISSL", features, reference_features(backbone.state_dict, images))
    line = f"VISSL resnet trunk: {matched} of {len(backbone.state_dict)} tensors matched, "
    return Proof(matched, len(backbone.state_dict), largest, (f"{line}largest feature difference {largest:.1e}",))


def _load(converted: Path) -> tuple[Any, dict[str, torch.Tensor]]:
    """VISSL's frozen-feature model with the file's weights, in eval mode, and its trunk's tensors as it names them."""
    from transfer.engines.vissl_worker import compose

    config = compose(BASES["inat18"], _settings())
    from vissl.models import build_model
    from vissl.utils.checkpoint import CheckpointLoader, init_model_from_consolidated_weights

    vissl_compat.adapt()
    logging.disable(logging.INFO)  # VISSL prints a line for every tensor
    try:
        model = build_model(config.MODEL, config.OPTIMIZER)
        # Every tensor is poisoned first: one that the loader passes over in silence shows as not a number.
        for tensor in model.trunk.base_model.state_dict().values():
            tensor.fill_(float("nan") if tensor.is_floating_point() else -1)
        weights = CheckpointLoader.load_and_broadcast_init_weights(str(converted), torch.device("cpu"))
        init_model_from_consolidated_weights(config, model, weights, "classy_state_dict", skip_layers=[])
    finally:
        logging.disable(logging.NOTSET)
    return model.eval(), model.trunk.base_model.state_dict()


def _settings() -> dict[str, Any]:
    # No pooling, so that the trunk's maps come out whole; VISSL wants one head for each of them.
    return {
        "MODEL": {
            "FEATURE_EVAL_SETTINGS": {"LINEAR_EVAL_FEAT_POOL_OPS_MAP": [[name, ["Identity", []]] for name in FEATURES]},
            "HEAD": {"PARAMS": [["eval_mlp", {"in_channels": 1, "dims": [1, 1]}] for _ in FEATURES]},
        }
    }


def _count_matched(loaded: dict[str, torch.Tensor], backbone: Backbone) -> int:
    """How many tensors of VISSL's trunk now hold exactly the original's values.

    Raises:
        Refusal: not all of them; names the first.
    """
    expected = keymap.rename(backbone.state_dict, "vissl")
    if set(loaded) != set(expected):
        raise Refusal(f"VISSL's trunk has other tensors than expected: {sorted(set(loaded) ^ set(expected))[:3]}")
    wrong = [name for name, tensor in expected.items() if not torch.equal(loaded[name], tensor)]
    if wrong:
        raise Refusal(f"VISSL did not take {len(wrong)} of {len(expected)} tensors, the first is {wrong[0]!r}")
    return len(expected)
