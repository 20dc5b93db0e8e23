"""A method turns two batches of views into loss terms; one short file each, in its paper's letters."""

import pkgutil
from typing import cast

from pretrain.branches import METHODS
from pretrain.methods.seam import Method, Outputs
from pretrain.methods.vicreg import VICReg
from pretrain.settings import Recipe

__all__ = ["Method", "Outputs", "VICReg", "build"]


def build(recipe: Recipe) -> Method:
    """The recipe's method, freshly initialised from torch's current random state."""
    method = pkgutil.resolve_name(METHODS[recipe.method])(recipe)
    return cast(Method, method)
