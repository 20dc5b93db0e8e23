"""The ablations on the page: Figures 4 and 5 drawn over pretraining, and the paper's claims with what was measured."""

from collections.abc import Callable, Sequence

from results.ablations import MEANINGS, AblationRun, Verdict, judge
from results.report.charts import Series, line_chart, swatch
from results.report.html import Markup, element
from results.report.pretraining import Point

CURVES = {
    "table3/byol_me_sg_pr_bn/no_reg": "BYOL",
    "table3/byol_me_sg_pr_bn/var_reg": "BYOL Var",
    "table3/byol_me_sg_pr_bn/var_cov_reg": "BYOL VarCov",
    "table3/simsiam_sg_pr_bn/no_reg": "SimSiam",
    "table3/simsiam_sg_pr_bn/var_reg": "SimSiam Var",
    "table3/simsiam_sg_pr_bn/var_cov_reg": "SimSiam VarCov",
}
"""The runs of Figures 4 and 5. Figure 4 has those without and with Var, Figure 5 those without and with VarCov."""

Value = Callable[[Point], float | None]


def ablations_section(runs: Sequence[AblationRun]) -> Markup | None:
    """Figures 4 and 5 and the table of claims; None without runs."""
    if not runs:
        return None
    corpora = ", ".join(sorted({run.corpus for run in runs}))
    legend = [element("li", swatch(index), f" {name}") for index, name in enumerate(CURVES.values())]
    return element(
        "section", element("h2", "Ablations"),
        element("p", f"Runs on: {corpora}. Curves are means over seeds."),
        element("ul", *legend, class_="runs"), element("div", *figures(runs), class_="panels"),
        claims_table(judge(runs)), id="ablations",
    )  # fmt: skip


def figures(runs: Sequence[AblationRun]) -> list[Markup]:
    """Figure 4, left; Figure 4, right, once for each width d with its 1/√d; Figure 5."""
    panels = [
        _panel(runs, "Fig. 4, representations", "standard deviation, mean over dimensions", _both("representation_std"))
    ]
    for target in sorted({run.points[-1]["sphere_std"] for run in _drawn(runs) if "sphere_std" in run.points[-1]}):
        same = [run for run in runs if run.points and run.points[-1].get("sphere_std") == target]
        note = f"unit vectors, d = {1 / target**2:.0f}; the dashed rule is 1/√d = {target:.4f}"
        panels.append(_panel(same, "Fig. 4, projections", note, _both("unit_embedding_std"), reference=target))
    panels.append(
        _panel(
            runs, "Fig. 5, correlation", "Eq. 10 of the representations", lambda p: p.get("representation_correlation")
        )
    )
    return [panel for panel in panels if panel is not None]


def claims_table(verdicts: Sequence[Verdict]) -> Markup:
    """One row for each claim."""
    heads = ("the paper's claim", "where", "quantity", "measured, seed by seed", "verdict")
    rows = [element("tr", *(element("td", text) for text in claim_texts(verdict))) for verdict in verdicts]
    head = element("thead", element("tr", *(element("th", text) for text in heads)))
    return element("table", head, element("tbody", *rows))


def claim_texts(verdict: Verdict) -> tuple[str, str, str, str, str]:
    """Claim, source, quantity, values and verdict as short texts."""
    claim = verdict.claim
    factor = "" if claim.factor == 1 else f"{claim.factor:g} × "
    left = _listed(verdict.lesser) if claim.lesser else f"{claim.factor:g}"
    right = _listed(verdict.greater) if claim.lesser is None else f"{factor}({_listed(verdict.greater)})"
    sides = f"{left} < {right}" if verdict.greater else ""
    return claim.claim, claim.source, claim.quantity, sides, verdict.word


def markdown(runs: Sequence[AblationRun]) -> str:
    """The claims and the runs' numbers as two tables of Markdown."""
    lines = ["| the paper's claim | where | quantity | measured, seed by seed | verdict |", "|---|---|---|---|---|"]
    lines += ["| " + " | ".join(claim_texts(verdict)) + " |" for verdict in judge(runs)]
    lines += ["", *(f"- {name}: {meaning}" for name, meaning in MEANINGS.items()), ""]
    lines += [f"| cell | seed | {' | '.join(MEANINGS)} | 20-NN |", "|---" * (len(MEANINGS) + 3) + "|"]
    for run in sorted(runs, key=lambda one: (one.cell, one.seed)):
        values = [run.quantity(name) for name in MEANINGS]
        knn = next((point["knn_20"] for point in reversed(run.points) if "knn_20" in point), None)
        texts = ["" if value is None else f"{value:.4g}" for value in (*values, knn)]
        lines.append(f"| {run.cell} | {run.seed} | {' | '.join(texts)} |")
    return "\n".join(lines) + "\n"


def _panel(
    runs: Sequence[AblationRun], title: str, note: str, value: Value, reference: float | None = None
) -> Markup | None:
    series = [_mean_curve(name, [run for run in runs if run.cell == cell], value) for cell, name in CURVES.items()]
    if not any(line.x for line in series):
        return None
    return line_chart(title, series, x_label="epoch", note=note, reference=reference)


def _mean_curve(name: str, runs: Sequence[AblationRun], value: Value) -> Series:
    by_epoch: dict[float, list[float]] = {}
    for run in runs:
        for point in run.points:
            if (found := value(point)) is not None:
                by_epoch.setdefault(point["epoch"], []).append(found)
    # Where one seed was logged and another not, a mean would jump between them.
    epochs = sorted(epoch for epoch, found in by_epoch.items() if len(found) == len(runs))
    return Series(name, tuple(epochs), tuple(sum(by_epoch[epoch]) / len(by_epoch[epoch]) for epoch in epochs))


def _drawn(runs: Sequence[AblationRun]) -> list[AblationRun]:
    return [run for run in runs if run.cell in CURVES and run.points]


def _both(name: str) -> Value:
    def value(point: Point) -> float | None:
        found = [point[key] for key in (f"{name}_a", f"{name}_b") if key in point]
        return sum(found) / len(found) if found else None

    return value


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.3g}" for value in values)
