"""What a pretraining recipe consists of. Every field on which paper and released code differ names both values.

"Paper" is the arXiv text (2105.04906) with its section; "code" is facebookresearch/vicreg at commit 4e12602.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

from pretrain.branches import METHODS, BranchRecipe
from pretrain.finite import require_finite
from results.refusal import Refusal

IMAGENET_TRAIN_IMAGES = 1_281_167
IMAGENET_CLASSES = 1000


@dataclass(frozen=True)
class ViewRecipe:
    """How one of the two views is drawn (B.2). Paper: both alike ("symmetrised"). Code: BYOL's asymmetric pair."""

    size: int = 224
    """Side of the square crop, in pixels."""
    crop_area_min: float = 0.2
    """Smallest crop as a share of the image's area. Paper B.2: 0.2 (its code bit prints `scale=(0.2, 0.1)`, where 0.1
    is a misprint of 1.0). Code: 0.08, RandomResizedCrop's default."""
    crop_area_max: float = 1.0
    """Largest crop as a share of the image's area."""
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    """Paper B.2: unstated; the call it prints defaults to bilinear. Code: bicubic."""
    flip_probability: float = 0.5
    jitter_probability: float = 0.8
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.2
    hue: float = 0.1
    grayscale_probability: float = 0.2
    blur_probability: float = 0.5
    """Paper B.2: 0.5 for both views. Code: 1.0 for the first, 0.1 for the second."""
    blur_kernel: int = 23
    """Taps of the Gaussian. Paper B.2: 23. Code: PIL's Gaussian, which has no kernel size; at sigma <= 2 they agree."""
    blur_sigma_min: float = 0.1
    """Paper: unstated. Code: sigma is uniform in (0.1, 2.0)."""
    blur_sigma_max: float = 2.0
    solarize_probability: float = 0.1
    """Paper B.2: 0.1 for both views. Code: 0.0 for the first, 0.2 for the second. The threshold is 128 (code)."""

    def __post_init__(self) -> None:
        require_finite(self)
        for name in ("flip", "jitter", "grayscale", "blur", "solarize"):
            value = getattr(self, f"{name}_probability")
            _require(0 <= value <= 1, f"{name}_probability", value, "a probability between 0 and 1")
        _require(8 <= self.size <= 16_384, "size", self.size, "8 to 16,384 pixels")
        area = (self.crop_area_min, self.crop_area_max)
        _require(0 < area[0] <= area[1] <= 1, "crop_area_min and crop_area_max", area, "0 < min <= max <= 1")
        for name in ("brightness", "contrast", "saturation"):
            _require(0 <= getattr(self, name) <= 1, name, getattr(self, name), "a strength between 0 and 1")
        _require(0 <= self.hue <= 0.5, "hue", self.hue, "a shift between 0 and 0.5")
        odd = self.blur_kernel % 2 == 1 and 0 < self.blur_kernel < 1000
        _require(odd, "blur_kernel", self.blur_kernel, "an odd number below 1,000")
        sigma = (self.blur_sigma_min, self.blur_sigma_max)
        _require(0 < sigma[0] <= sigma[1], "blur_sigma_min and blur_sigma_max", sigma, "0 < min <= max")


@dataclass(frozen=True)
class LossRecipe:
    """Weights and switches of Eq. 6."""

    invariance_weight: float = 25.0
    """λ, on the mean over samples and dimensions as in Algorithm 1 (Eq. 5 as printed lacks the 1/d)."""
    variance_weight: float = 25.0
    """μ."""
    covariance_weight: float = 1.0
    """ν."""
    gamma: float = 1.0
    """Target standard deviation of Eq. 1, in units of `gamma_unit`."""
    gamma_unit: Literal["one", "one-over-root-d"] = "one"
    """one-over-root-d: γ is divided by √d, what unit vectors spread over the sphere have (Table 4b's l2 row)."""
    epsilon: float = 1e-4
    """ε of Eq. 1, inside the root."""
    epsilon_unit: Literal["one", "gamma-squared"] = "one"
    """Paper: one, stated where γ is 1. Wherever γ is 1/√d it must shrink with γ² (a choice made here): otherwise the
    root has a floor of 0.01, and at d = 8192, where γ is 0.011, almost nothing of the hinge is left."""
    variance_of: Literal["projections", "unit-projections"] = "projections"
    """Whether v sees Z, or Z with its rows divided by their length. Unstated for BYOL and SimSiam, whose distances do
    not see lengths. Their recipes have unit vectors with γ = 1/√d, as Table 4b's l2 row does. On Z itself the network
    meets γ = 1 by growing, and nothing prevents the collapse of what the distance sees: measured on the digits
    (SimSiam without predictor and batch norm, 22 steps of 64) v is 0 and the standard deviation of Z 34, while that of
    the unit vectors is 0.0004, a hundredth of 1/√d. C.3 reports 1/√d; SimSiam's paper plots that without any v."""
    covariance_of: Literal["projections", "unit-projections"] = "projections"
    """The same for c. Z: unit vectors have covariances of at most 1/d, so that ν = 0.01 would leave no effect at all,
    against Table 3, where c moves SimSiam without predictor from 56.8 to 66.1."""
    redundancy_weight: float = 0.0051
    """λ of Barlow Twins, on its off-diagonal term (its paper: 0.005; its code: 0.0051). No other method has it."""
    variance_halved: bool = False
    """Eq. 6 and Algorithm 1: v(Z) + v(Z'), False. Code: their mean, so that μ acts as 12.5 per view, True."""
    covariance_divisor: Literal["batch", "global-batch-size"] = "batch"
    """What stands for n in the 1/(n-1) of Eq. 3 when the last batch of an epoch is short. Paper: the batch's own n.
    Code: always the configured batch size, which shrinks the term on that one batch."""

    def __post_init__(self) -> None:
        require_finite(self)
        for name in ("invariance_weight", "variance_weight", "covariance_weight"):
            _require(getattr(self, name) >= 0, name, getattr(self, name), "a weight of 0 or more")
        _require(self.gamma > 0, "gamma", self.gamma, "more than 0")
        _require(self.epsilon > 0, "epsilon", self.epsilon, "more than 0")
        _require(self.redundancy_weight >= 0, "redundancy_weight", self.redundancy_weight, "a weight of 0 or more")

    def hinge_target(self, dimensions: int) -> tuple[float, float]:
        """γ and ε of Eq. 1 for projections of so many dimensions."""
        gamma = self.gamma if self.gamma_unit == "one" else self.gamma / math.sqrt(dimensions)
        return gamma, self.epsilon if self.epsilon_unit == "one" else self.epsilon * gamma**2


@dataclass(frozen=True)
class Recipe:
    """One pretraining of the paper: everything that moves the result and does not depend on the machine."""

    view_a: ViewRecipe = field(default_factory=ViewRecipe)
    view_b: ViewRecipe = field(default_factory=ViewRecipe)
    loss: LossRecipe = field(default_factory=LossRecipe)
    method: str = "VICReg"
    """Whose loss and heads: VICReg, BYOL, SimSiam or Barlow Twins."""
    branches: BranchRecipe = field(default_factory=BranchRecipe)
    architecture: Literal["resnet50", "resnet50x2", "resnet200x2"] = "resnet50"
    zero_init_residual: bool = True
    """Whether each residual branch starts at zero (last BN scale 0). Paper: unstated. Code: True."""
    projector_width: int = 8192
    """Hidden and output width of the three-layer projector (B.1, Table 6); output width d of the other methods'."""
    epochs: int = 1000
    warmup_epochs: int = 10
    global_batch_size: int = 2048
    """Images per step over all ranks together."""
    base_lr: float = 0.2
    """Peak learning rate at a batch of 256 (B.1); the peak used is base_lr x global_batch_size / 256."""
    final_lr: float = 0.002
    """Where the cosine ends. Paper B.1: 0.002. Code: 0.001 of the peak (0.0016 at base 0.2, 0.0024 at 0.3)."""
    final_lr_unit: Literal["absolute", "of-peak"] = "absolute"
    """Paper: absolute. Code: of-peak."""
    optimizer: Literal["lars", "sgd"] = "lars"
    """SimSiam: sgd. All others: lars."""
    base_lr_vectors: float | None = None
    """`base_lr` of biases and batch norms where they have their own (Barlow Twins' code: 0.0048 beside 0.2)."""
    weight_decay: float = 1e-6
    momentum: float = 0.9
    """Paper: unstated for VICReg (B.5 gives 0.9 for its BYOL). Code: 0.9."""
    trust_coefficient: float = 0.001
    """LARS's η. Paper: unstated for VICReg (B.5 gives 0.001 for its BYOL). Code: 0.001."""
    last_batch: Literal["short", "drop"] = "short"
    """The incomplete batch that ends an epoch. Paper: unstated. Code: kept (626 steps at 2048), padded with repeated
    images until the ranks share it evenly; here it is kept unpadded and weighted exactly."""
    train_images: int = IMAGENET_TRAIN_IMAGES
    """Images the training folder should hold; another number is warned of, or refused with --run.strict."""
    class_count: int = IMAGENET_CLASSES
    """Class folders the training folder should hold. Labels are never used."""

    def __post_init__(self) -> None:
        require_finite(self)
        for name in ("epochs", "projector_width", "train_images", "class_count"):
            _require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in ("base_lr", "trust_coefficient"):
            _require(getattr(self, name) > 0, name, getattr(self, name), "more than 0")
        _require(self.method in METHODS, "method", self.method, f"one of {', '.join(METHODS)}")
        _require(
            self.base_lr_vectors is None or self.base_lr_vectors > 0, "base_lr_vectors", self.base_lr_vectors, "above 0"
        )
        self._check_branches()
        for name in ("final_lr", "weight_decay"):
            _require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        _require(0 <= self.momentum < 1, "momentum", self.momentum, "0 or more and below 1")
        _require(0 <= self.warmup_epochs < self.epochs, "warmup_epochs", self.warmup_epochs, "fewer than epochs")
        rates = f"{self.end_lr:g}, above the peak of {self.peak_lr:g}"
        _require(self.end_lr <= self.peak_lr, "final_lr", rates, "at most base_lr x global_batch_size / 256")
        _require(self.global_batch_size >= 2, "global_batch_size", self.global_batch_size, "2, for a variance")
        sizes = (self.view_a.size, self.view_b.size)
        _require(sizes[0] == sizes[1], "view_a.size and view_b.size", sizes, "equal sizes")

    def _check_branches(self) -> None:
        chosen = self.branches
        free = self.method == "VICReg" or chosen.output == "free"
        _require(free, "branches.output", chosen.output, f'"free" for {self.method}')
        asymmetric = chosen.momentum_encoder or chosen.stop_gradient or chosen.predictor
        fits = self.method != "Barlow Twins" or not asymmetric
        _require(fits, "branches", chosen, "without momentum encoder, stop-gradient and predictor for Barlow Twins")

    @property
    def peak_lr(self) -> float:
        """Learning rate at the end of the warm-up (B.1): base_lr x global_batch_size / 256."""
        return self.base_lr * self.global_batch_size / 256

    @property
    def end_lr(self) -> float:
        """Learning rate the cosine tends to, absolute."""
        return self.final_lr if self.final_lr_unit == "absolute" else self.final_lr * self.peak_lr

    def steps_per_epoch(self, image_count: int) -> int:
        """Steps that `image_count` images make: the short last batch counts unless it is dropped."""
        whole, rest = divmod(image_count, self.global_batch_size)
        return whole + (1 if rest and self.last_batch == "short" else 0)


def _require(condition: bool, name: str, found: object, wanted: str) -> None:
    if not condition:
        raise Refusal(f"recipe field {name} is {found}; it must be {wanted}")
