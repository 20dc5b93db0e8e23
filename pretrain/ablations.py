"""The ablations of section 5 and appendix C as recipes: each row names the cell it fills and the number to expect.

All are 100 epochs of a ResNet-50 on ImageNet, judged by a linear probe. VICReg's rows are `official-100` with one
change; BYOL's and SimSiam's keep their own papers' views, heads and optimizers (B.5).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pretrain.branches import BranchRecipe
from pretrain.settings import LossRecipe, Recipe, ViewRecipe

TABLE3 = {
    "byol_me_sg_pr_bn": (69.3, 70.2, 69.5),
    "simsiam_sg_pr_bn": (67.9, 68.1, 67.6),
    "simsiam_sg_pr": (35.1, 67.3, 67.1),
    "simsiam_sg": (0.1, 56.8, 66.1),
    "vicreg_pr": (0.1, 56.2, 67.3),
    "vicreg_pr_bn": (0.1, 57.1, 68.7),
    "vicreg_bn": (0.1, 57.5, 68.6),
    "vicreg_none": (0.1, 56.5, 67.4),
}
"""Table 3: method and components -> top-1 without regularisation, with variance, with variance and covariance."""

REGULARISED = {"no_reg": (1.0, 0.0, 0.0), "var_reg": (1.0, 1.0, 0.0), "var_cov_reg": (1.0, 1.0, 0.01)}
"""Table 3's columns for BYOL and SimSiam: λ, μ, ν (B.5)."""

ON_THE_SPHERE = LossRecipe(
    1.0, 0.0, 0.0, gamma_unit="one-over-root-d", epsilon_unit="gamma-squared", variance_of="unit-projections"
)
"""Terms of BYOL and SimSiam: v on unit vectors with γ = 1/√d, c on the projections (see `LossRecipe.variance_of`)."""

VICREG_REGULARISED = {"no_reg": (1.0, 0.0, 0.0), "var_reg": (1.0, 1.0, 0.0), "var_cov_reg": (25.0, 25.0, 1.0)}
"""Table 3's columns for VICReg. Unstated; its 57.5 and 68.6 are those of these weights in Table 4a."""

TABLE4A = {
    "inv": ((1.0, 0.0, 0.0), 0.1),
    "inv_cov": ((25.0, 0.0, 1.0), 0.1),
    "var_cov": ((0.0, 25.0, 1.0), 0.1),
    "inv_var": ((1.0, 1.0, 0.0), 57.5),
    "inv_var_cov": ((25.0, 25.0, 1.0), 68.6),
}
"""Table 4a: λ, μ, ν and top-1. The table prints "Inv + Cov" twice; its third row, without λ, is var_cov."""

BATCH_SIZES = {128: (0.8, 67.3), 256: (0.5, 67.9), 512: (0.4, 68.2), 1024: (0.3, 68.3), 2048: (0.3, 68.6),
               4096: (0.3, 67.8)}  # fmt: skip
"""Global batch size -> (base_lr of B.5, top-1 of the batch size table)."""

WIDTHS = {256: 55.9, 512: 59.2, 1024: 62.4, 2048: 65.1, 4096: 67.3, 8192: 69.1, 16384: 69.3}
"""Projector width -> top-1 of Table 6, which prints 16834 for 16384 and 69.1 where the other tables have 68.6."""

FIGURE2_EPOCHS = {"byol": (100, 300, 1000), "simsiam": (100, 200, 400, 800)}
"""Lengths of Figure 2's runs. Its points are unstated; these are the lengths for which BYOL's code has settings and for
which SimSiam's paper prints a number."""

FIGURE2_TOP1 = {("byol", 100): 69.3, ("byol-var", 100): 70.2, ("simsiam", 100): 67.9, ("simsiam-var", 100): 68.1,
                ("byol", 1000): 74.3, ("byol-var", 1000): 74.5, ("simsiam", 800): 71.3}  # fmt: skip
"""The points that the text gives: Table 3, C.3's +0.2 after 1000 epochs, and Table 1's rows."""


@dataclass(frozen=True)
class Row:
    """One pretraining of a table: `cell` is what its linear probe fills ("" for a point of Figure 2)."""

    table: str
    cell: str
    name: str
    recipe: Recipe
    what: str
    top1: float | None = None

    @property
    def summary(self) -> str:
        """What it is, and the number to expect."""
        expected = "no number printed" if self.top1 is None else f"linear top-1 {self.top1}"
        place = f"fills {self.cell}" if self.cell else self.table
        return f"{self.what}; {place}: {expected}; {self.recipe.epochs} epochs."


def byol(official: Recipe) -> Recipe:
    """BYOL, 100 epochs, as B.5 and its paper have it: 69.3 here, 66.5 originally. Its views are the released code's.

    Its residual branches start as torch's do, and its cosine ends at 0 (BYOL's code).
    """
    branches = BranchRecipe(True, True, True, projector_hidden=4096, predictor_hidden=4096)
    return replace(
        official, method="BYOL", branches=branches, projector_width=256, loss=ON_THE_SPHERE, epochs=100,
        global_batch_size=4096, base_lr=0.45, final_lr=0.0, zero_init_residual=False, last_batch="drop",
    )  # fmt: skip


def simsiam(official: Recipe) -> Recipe:
    """SimSiam, 100 epochs, as B.5 and its paper have it: 67.9; SGD, the predictor's learning rate constant."""
    view = ViewRecipe(saturation=0.4, solarize_probability=0.0)
    branches = BranchRecipe(stop_gradient=True, predictor=True, predictor_hidden=512, predictor_lr="constant")
    return replace(
        official, view_a=view, view_b=view, method="SimSiam", branches=branches, projector_width=2048,
        loss=ON_THE_SPHERE, epochs=100, optimizer="sgd", base_lr=0.05, final_lr=0.0, weight_decay=1e-4,
        last_batch="drop",
    )  # fmt: skip


def barlow_twins(official: Recipe) -> Recipe:
    """Barlow Twins, 1000 epochs, as its paper and code have it: 73.2 (Table 1). Two learning rates, 0.2 and 0.0048."""
    return replace(
        official, method="Barlow Twins", loss=LossRecipe(1.0, 0.0, 0.0), epochs=1000, base_lr=0.2,
        base_lr_vectors=0.0048, weight_decay=1.5e-6,
    )  # fmt: skip


def weighted(recipe: Recipe, weights: tuple[float, float, float]) -> Recipe:
    """`recipe` with these λ, μ, ν."""
    s, v, c = weights
    return replace(recipe, loss=replace(recipe.loss, invariance_weight=s, variance_weight=v, covariance_weight=c))


def rows(official_100: Recipe) -> tuple[Row, ...]:
    """Every row of Tables 3, 4a, 4b, 6, the batch sizes and Figure 2."""
    tables = (table3, table4a, table4b, table6, batch_sizes, figure2)
    return tuple(row for table in tables for row in table(official_100))


def table3(official_100: Recipe) -> Iterator[Row]:
    """Eight architectures times three regularisations."""
    for key, numbers in TABLE3.items():
        method, *components = key.split("_")
        recipe = with_components(official_100, method, components)
        columns = VICREG_REGULARISED if method == "vicreg" else REGULARISED
        for (column, weights), top1 in zip(columns.items(), numbers, strict=True):
            what = f"{recipe.method} [{'+'.join(components).upper()}], λ, μ, ν = {_listed(weights)}"
            yield _row("table3", f"table3/{key}/{column}", weighted(recipe, weights), what, top1)


def with_components(official_100: Recipe, method: str, components: list[str]) -> Recipe:
    """A row of Table 3: `components` are some of me, sg, pr, bn (vicreg_none has none)."""
    recipe = {"byol": byol(official_100), "simsiam": simsiam(official_100), "vicreg": official_100}[method]
    branches = replace(
        recipe.branches, momentum_encoder="me" in components, stop_gradient="sg" in components,
        predictor="pr" in components, batch_norm="bn" in components,
    )  # fmt: skip
    return replace(recipe, branches=branches)


def table4a(official_100: Recipe) -> Iterator[Row]:
    """The loss coefficients."""
    for key, (weights, top1) in TABLE4A.items():
        yield _row(
            "table4a", f"table4a/{key}/top1", weighted(official_100, weights), f"λ, μ, ν = {_listed(weights)}", top1
        )


def table4b(official_100: Recipe) -> Iterator[Row]:
    """The normalisations. On the unit sphere γ is 1/√d, and ε shrinks with γ² (see `LossRecipe.epsilon_unit`)."""
    plain = official_100.branches
    unit_loss = replace(official_100.loss, gamma_unit="one-over-root-d", epsilon_unit="gamma-squared")
    unit = replace(official_100, branches=replace(plain, output="unit"), loss=unit_loss)
    standardised = replace(official_100, branches=replace(plain, output="standardised"))
    bare = replace(official_100, branches=replace(plain, output="standardised", batch_norm=False))
    changed = {
        "standardization": (standardised, "standardised projections", 68.4),
        "standardization_no_bn": (bare, "standardised projections, no batch norm inside the projector", 67.2),
        "no_bn": (
            replace(official_100, branches=replace(plain, batch_norm=False)),
            "no batch norm in the projector",
            67.4,
        ),
        "l2_normalization": (unit, "l2-normalised projections, Eq. 9, γ = 1/√d", 65.1),
        "default": (official_100, "VICReg as it is", 68.6),
    }
    for key, (recipe, what, top1) in changed.items():
        yield _row("table4b", f"table4b/{key}/top1", recipe, what, top1)


def table6(official_100: Recipe) -> Iterator[Row]:
    """The projector's width; one learning rate for all."""
    for width, top1 in WIDTHS.items():
        recipe = replace(official_100, projector_width=width)
        yield Row("table6", f"table6/width_{width}/top1", f"width-{width}", recipe, f"projector width {width}", top1)


def batch_sizes(official_100: Recipe) -> Iterator[Row]:
    """The global batch, each size at B.5's base learning rate."""
    for size, (base_lr, top1) in BATCH_SIZES.items():
        recipe = replace(official_100, global_batch_size=size, base_lr=base_lr)
        what = f"batch {size} at base lr {base_lr}"
        yield Row("batch_size", f"batch_size/{size}/top1", f"batch-{size}", recipe, what, top1)


def figure2(official_100: Recipe) -> Iterator[Row]:
    """BYOL and SimSiam, each without and with the variance term, for several lengths of pretraining."""
    for method, make in (("byol", byol), ("simsiam", simsiam)):
        for suffix, column in (("", "no_reg"), ("-var", "var_reg")):
            curve = method + suffix
            for epochs in FIGURE2_EPOCHS[method]:
                recipe = _lasting(weighted(make(official_100), REGULARISED[column]), epochs)
                top1 = FIGURE2_TOP1.get((curve, epochs))
                yield Row("figure2", "", f"figure2-{curve}-{epochs}", recipe, f"Figure 2's curve {curve}", top1)


def _lasting(recipe: Recipe, epochs: int) -> Recipe:
    if recipe.method != "BYOL" or epochs == 100:
        return replace(recipe, epochs=epochs)
    # BYOL's code has other settings for longer runs.
    base_lr, weight_decay, tau = {300: (0.3, 1e-6, 0.99), 1000: (0.2, 1.5e-6, 0.996)}[epochs]
    branches = replace(recipe.branches, target_momentum=tau)
    return replace(recipe, epochs=epochs, base_lr=base_lr, weight_decay=weight_decay, branches=branches)


def _row(table: str, cell: str, recipe: Recipe, what: str, top1: float) -> Row:
    name = cell.removesuffix("/top1").replace("/", "-").replace("_", "-")
    return Row(table, cell, name, recipe, what, top1)


def _listed(weights: tuple[float, float, float]) -> str:
    return ", ".join(f"{weight:g}" for weight in weights)
