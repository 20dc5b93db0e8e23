"""Table 4a's lesson on the handwritten digits: python -m pretrain.table4a DATA [EPOCHS] [FOLDER].

Trains `demo` once for each row, skipping what `FOLDER` holds already, and prints the table: the mean standard
deviation of the embeddings at the end, its share of the full loss's, and 20-NN accuracy on the held-out digits.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from pretrain.recipes import RECIPES
from pretrain.run import Run
from pretrain.settings import Recipe
from results.refusal import Refusal, run_command_line

ROWS = {
    "Inv": (1.0, 0.0, 0.0),
    "Inv + Cov": (25.0, 0.0, 1.0),
    "Var + Cov": (0.0, 25.0, 1.0),
    "Inv + Var": (1.0, 1.0, 0.0),
    "Inv + Var + Cov": (25.0, 25.0, 1.0),
}
"""λ, μ, ν of each row; the paper's table prints the third as a second "Inv + Cov"."""


class Outcome(NamedTuple):
    """What a row ends with."""

    embedding_std: float
    knn_20: float


def row_recipe(weights: tuple[float, float, float], epochs: int) -> Recipe:
    """`demo` with these loss weights."""
    demo = RECIPES["demo"]
    inv, var, cov = weights
    loss = replace(demo.loss, invariance_weight=inv, variance_weight=var, covariance_weight=cov)
    return replace(demo, loss=loss, epochs=epochs)


def train_row(name: str, data: Path, epochs: int, folder: Path) -> Outcome:
    """Train one row to its end, or read the log of one that has ended."""
    from pretrain.journal import read_metrics
    from pretrain.launch import train_here

    output = folder / name.replace(" + ", "_").lower()
    run = Run(data=data, output=output, knn_every_epochs=epochs, tensorboard=False)
    if train_here("demo", row_recipe(ROWS[name], epochs), run):
        raise Refusal(f"{name} did not end; its log is {output / 'log.jsonl'}, and the same command goes on with it")
    last = read_metrics(output / "log.jsonl")[-1]
    return Outcome((last["embedding_std_a"] + last["embedding_std_b"]) / 2, last["knn_20"])


def table(outcomes: dict[str, Outcome]) -> str:
    """The rows as text; shares are of the full loss's standard deviation."""
    healthy = outcomes["Inv + Var + Cov"].embedding_std
    lines = [f"{'':<16} {'λ':>4} {'μ':>4} {'ν':>4} {'std':>8} {'share':>7} {'20-NN':>6}"]
    for name, found in outcomes.items():
        weights = " ".join(f"{weight:4g}" for weight in ROWS[name])
        share = 100 * found.embedding_std / healthy
        lines.append(f"{name:<16} {weights} {found.embedding_std:8.4f} {share:6.1f}% {found.knn_20:6.1f}")
    return "\n".join(lines)


def main() -> int:
    """Train what is missing and print the table."""
    if not 2 <= len(sys.argv) <= 4:
        raise Refusal("usage: python -m pretrain.table4a DATA [EPOCHS] [FOLDER]")
    data, epochs = Path(sys.argv[1]), int((sys.argv[2:3] or ["12"])[0])
    folder = Path((sys.argv[3:4] or ["runs/table4a"])[0])
    print(table({name: train_row(name, data, epochs, folder) for name in ROWS}))
    return 0


if __name__ == "__main__":
    run_command_line(main)
