import json
import math
import subprocess
import sys
from dataclasses import replace

import pytest

from data.layouts import layout_of
from evaluate.cards import card, card_text, flat_settings, full_size_cards
from evaluate.command import resolved_settings
from evaluate.plan import Plan
from evaluate.protocols import PROTOCOLS, CenterView, Knn, Probe, RandomView
from evaluate.run import Run
from results.cards import CARDS
from results.cells import is_cell
from results.refusal import Refusal


def full(name: str) -> Probe:
    protocol = PROTOCOLS[name]
    assert isinstance(protocol, Probe)
    return protocol


def test_the_linear_protocol_is_appendix_b3() -> None:
    linear = full("linear")
    assert (linear.epochs, linear.global_batch_size, linear.momentum, linear.weight_decay) == (100, 256, 0.9, 1e-6)
    assert linear.head_learning_rates == (0.02,)
    assert not linear.fine_tunes
    assert (linear.test_view, linear.train_view.crop) == (CenterView(256, 224), 224)
    assert linear.reported == "final"


@pytest.mark.parametrize(
    ("name", "images", "steps", "trunk", "head"),
    [("semi-1pct", 12_811, 51, 0.03, 0.08), ("semi-10pct", 128_116, 501, 0.01, 0.1)],
)
def test_the_semi_supervised_protocols_are_appendix_b3(
    name: str, images: int, steps: int, trunk: float, head: float
) -> None:
    semi = full(name)
    assert (semi.trunk_learning_rate, semi.head_learning_rates) == (trunk, (head,))
    assert (semi.epochs, semi.global_batch_size, semi.weight_decay) == (20, 256, 0.0)
    assert layout_of(semi.dataset).splits["train"] == images
    assert semi.steps_per_epoch(images) == steps


def test_an_epoch_of_imagenet_has_5005_steps_and_uses_every_image() -> None:
    linear = full("linear")
    assert layout_of(linear.dataset).splits == {"train": 1_281_167, "val": 50_000}
    assert linear.steps_per_epoch(1_281_167) == 5005
    assert 5004 * 256 < 1_281_167 <= 5005 * 256


@pytest.mark.parametrize("name", ["semi-1pct", "semi-10pct", "linear"])
@pytest.mark.parametrize("ranks", [1, 2, 8])
def test_a_plan_of_any_number_of_ranks_uses_each_image_once_an_epoch(name: str, ranks: int) -> None:
    plan = Plan(full(name), 12_811, seed=0, ranks=ranks)
    steps = plan.chunks(epoch=3)
    assert len(steps) == 51
    assert sorted(index for chunks in steps for chunk in chunks for index in chunk) == list(range(12_811))


def test_ranks_together_draw_what_one_rank_draws() -> None:
    small = replace(full("linear"), epochs=2, global_batch_size=16)
    alone = list(Plan(small, 50, seed=1, ranks=1).draws_from(0, 0))
    shares = [list(Plan(small, 50, seed=1, ranks=2).draws_from(0, rank)) for rank in range(2)]
    together = [first + second for first, second in zip(*shares, strict=True)]
    assert together == alone
    assert len({seed for batch in alone for _, seed in batch}) == 100  # each image another crop in each epoch


def test_batch_statistics_are_of_32_images_whatever_the_number_of_ranks() -> None:
    one, many = (Plan(full("semi-10pct"), 128_116, seed=0, ranks=ranks).chunks(0) for ranks in (1, 8))
    assert one == many
    assert {len(chunk) for chunks in one[:-1] for chunk in chunks} == {32}
    assert [len(chunk) for chunk in one[-1]] == [29, 29, 29, 29]  # the last 116 images


def test_a_plan_resumed_at_a_step_goes_on_with_the_same_draws() -> None:
    plan = Plan(replace(full("linear"), epochs=3, global_batch_size=8), 30, seed=4, ranks=1)
    whole = list(plan.draws_from(0, 0))
    assert plan.total_steps == 12
    for step in range(12):
        assert list(plan.draws_from(step, 0)) == whole[step:]


def test_a_fine_tuning_batch_of_one_image_is_refused() -> None:
    with pytest.raises(Refusal, match="leave a batch of one image"):
        Plan(full("semi-1pct"), 257, seed=0, ranks=1)


def test_the_cosine_is_set_per_epoch_and_falls_to_zero_after_the_last() -> None:
    linear = full("linear")
    expected = {0: 1.0, 25: 0.5 + math.sqrt(0.5) / 2, 50: 0.5, 75: 0.5 - math.sqrt(0.5) / 2, 100: 0.0}
    for epoch, factor in expected.items():
        assert linear.learning_rate_factor(epoch) == pytest.approx(factor, abs=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: replace(full("linear"), epochs=0), r"protocol\.epochs is 0"),
        (lambda: replace(full("linear"), head_learning_rates=()), r"protocol\.head_learning_rates"),
        (lambda: replace(full("semi-1pct"), head_learning_rates=(0.1, 0.2)), r"protocol\.trunk_learning_rate 0"),
        (lambda: replace(full("semi-1pct"), statistics_batch_size=1), r"at least 2 images"),
        (lambda: RandomView(scale_min=0.0), r"train_view scale"),
        (lambda: CenterView(resize=200, crop=224), r"test_view\.crop is 224"),
        (lambda: Knn(neighbours=(10,)), r"20 or 200"),
        (lambda: Knn(temperature=0.0), r"expected at least 0\.002"),
        (lambda: Run(limit=-1), r"run\.limit is -1"),
    ],
)
def test_impossible_settings_are_refused_naming_the_field(make: object, message: str) -> None:
    with pytest.raises(Refusal, match=message):
        make()  # type: ignore[operator]


def test_every_protocol_measures_cells_of_the_paper_and_each_demo_the_same_ones() -> None:
    for name, protocol in PROTOCOLS.items():
        assert all(is_cell(cell) for cell in protocol.cells), name
        if name.endswith("-demo"):
            assert protocol.cells == PROTOCOLS[name.removesuffix("-demo")].cells


def test_the_dry_run_shows_what_follows_from_the_settings() -> None:
    shown = json.loads(resolved_settings("semi-1pct", full("semi-1pct"), replace(full("semi-1pct"), epochs=3), Run()))
    assert shown["derived"]["steps per epoch at full size"] == 51
    assert shown["derived"]["images at full size"]["train"] == 12_811
    assert shown["settings"]["trunk_learning_rate"] == 0.03
    assert shown["deviations"] == ["epochs: 20 -> 3"]


def test_the_dry_run_needs_neither_torch_nor_data() -> None:
    program = (
        "import sys, runpy\nsys.argv = ['evaluate', 'linear', '--dry-run']\n"
        "try:\n    runpy.run_module('evaluate', run_name='__main__')\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["derived"]["steps per epoch at full size"] == 5005


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_card_gives_value_and_source_of_every_setting_and_what_is_open(name: str) -> None:
    content = card(name)
    rows = {row.setting: row for row in content.settings}
    for field, value in flat_settings(PROTOCOLS[name]).items():
        assert rows[field].value == value
    assert all(row.source and row.value for row in content.settings)
    assert content.open_questions
    assert name in card_text(name)


def test_the_committed_cards_are_current() -> None:
    for one in full_size_cards():
        found = (CARDS / f"{one.protocol}.json").read_text(encoding="utf-8")
        assert found == one.file_text(), "run `python -m evaluate cards`"


@pytest.mark.parametrize(
    ("name", "settings", "field"),
    [
        ("linear", {"head_learning_rates": (0.1, math.nan)}, "head_learning_rates"),
        ("linear", {"trunk_learning_rate": math.inf}, "trunk_learning_rate"),
        ("linear", {"weight_decay": -1e-6}, "weight_decay"),
        ("linear", {"weight_decay": math.nan}, "weight_decay"),
        ("linear", {"momentum": 1.5}, "momentum"),
        ("linear", {"momentum": -0.1}, "momentum"),
        ("linear", {"head_initial_std": math.nan}, "head_initial_std"),
        ("knn", {"temperature": math.nan}, "temperature"),
        ("knn", {"temperature": 0.0}, "temperature"),
        ("knn", {"temperature": 1e-4}, "temperature"),
        ("knn", {"other_temperatures": (0.1, math.inf)}, "other_temperatures"),
    ],
)
def test_numbers_that_are_none_or_out_of_range_are_refused(name: str, settings: dict[str, object], field: str) -> None:
    with pytest.raises(Refusal, match=rf"protocol\.{field} is .*, expected"):
        replace(PROTOCOLS[name], **settings)  # type: ignore[arg-type]
