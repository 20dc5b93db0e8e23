"""Table 4a and the BYOL and SimSiam rows of Table 3 on the handwritten digits: the same recipes with smaller numbers.

Each row keeps its weights and components; views and projector width are the demo's. Learning rates and BYOL's averaging
factor are set for 88 steps instead of 62,500, once for each method and never for a row, so that rows of one method can
be compared with each other.
"""

from collections.abc import Iterator
from dataclasses import replace

from pretrain.ablations import Row, table3, table4a
from pretrain.settings import Recipe

EPOCHS = 2
BATCH = 32
PREDICTOR_WIDTH = 128


def demo_rows(official_100: Recipe, demo: Recipe) -> Iterator[Row]:
    """The rows of `make demo-ablations`; they fill the paper's cells in records that say "digits"."""
    for row in (*table4a(official_100), *table3(official_100)):
        if row.table == "table4a" or row.recipe.method != "VICReg":
            yield Row("demo-ablations", row.cell, f"demo-{row.name}", small(row.recipe, demo), row.what)


def small(recipe: Recipe, demo: Recipe) -> Recipe:
    """`recipe` at the demo's size."""
    shrunk = replace(
        recipe, view_a=demo.view_a, view_b=demo.view_b, epochs=EPOCHS, warmup_epochs=1,
        global_batch_size=BATCH, projector_width=demo.projector_width, last_batch="drop",
        train_images=demo.train_images, class_count=demo.class_count,
    )  # fmt: skip
    branches = shrunk.branches
    if recipe.method == "VICReg":
        return replace(shrunk, base_lr=12.8)
    if recipe.method == "SimSiam":
        return replace(shrunk, base_lr=1.6, branches=replace(branches, predictor_hidden=PREDICTOR_WIDTH))
    heads = replace(branches, projector_hidden=512, predictor_hidden=512, target_momentum=0.9)
    return replace(shrunk, base_lr=12.8, projector_width=256, branches=heads)
