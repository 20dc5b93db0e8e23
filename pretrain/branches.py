"""The methods by name, and what may differ between their two branches: Table 3's columns and the heads."""

from dataclasses import dataclass
from typing import Literal

from pretrain.finite import require_finite
from results.refusal import Refusal

METHODS: dict[str, str] = {
    "VICReg": "pretrain.methods.vicreg:VICReg",
    "BYOL": "pretrain.methods.byol:BYOL",
    "SimSiam": "pretrain.methods.simsiam:SimSiam",
    "Barlow Twins": "pretrain.methods.barlow_twins:BarlowTwins",
}
"""Each method's name, which is its row in the paper's tables, and where its class is; imported when it is built."""


@dataclass(frozen=True)
class BranchRecipe:
    """Which of Table 3's components are used, and how wide the heads are."""

    momentum_encoder: bool = False
    """ME: the targets come from a slow copy of encoder and projector."""
    stop_gradient: bool = False
    """SG: no gradient flows into the targets. A momentum encoder never gets one, so it needs this."""
    predictor: bool = False
    """PR: a head that predicts one view's target from the other's projection (Eq. 8)."""
    batch_norm: bool = True
    """BN: batch norm after the inner layers of projector and predictor ("in all settings, the absence of BN indicates
    that BN is also removed in the predictor", section 5). For SimSiam False also removes its output BN; the paper does
    not say so, but SimSiam's own run without any BN in its heads has 34.6, close to Table 3's 35.1."""
    projector_hidden: int | None = None
    """Hidden width of the projector; None: its output width, `projector_width`. BYOL: 4096."""
    predictor_hidden: int | None = None
    """Hidden width of the predictor; None: the projector's output width. BYOL 4096, SimSiam 512. Unstated for VICReg:
    "a similar architecture as the projector, but with 2 layers" is read as its width kept, 8192-8192."""
    output: Literal["free", "standardised", "unit"] = "free"
    """What happens to VICReg's projections (Table 4b). standardised: batch norm without scale and shift at the end
    (the paper: "batch normalization at the end of the projector which plays the role of standardization"). unit:
    l2-normalised, with the invariance of Eq. 9, minus the cosine (later version: 2 - 2 cos, twice the gradient)."""
    target_momentum: float = 0.99
    """First value of the momentum encoder's averaging factor, which tends to 1 along half a cosine (B.5)."""
    predictor_lr: Literal["scheduled", "constant"] = "scheduled"
    """constant: the peak rate throughout (SimSiam, B.5). Whether the warm-up holds for it is unstated; SimSiam's code
    has no warm-up, so constant means constant."""

    def __post_init__(self) -> None:
        require_finite(self)
        if self.momentum_encoder and not self.stop_gradient:
            raise Refusal(
                "recipe field branches.momentum_encoder is True and branches.stop_gradient False; a momentum encoder "
                "takes no gradient, so set branches.stop_gradient too"
            )
        if not 0 <= self.target_momentum <= 1:
            raise Refusal(f"recipe field branches.target_momentum is {self.target_momentum}; it must be 0 to 1")
        for name in ("projector_hidden", "predictor_hidden"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise Refusal(f"recipe field branches.{name} is {value}; it must be at least 1")
