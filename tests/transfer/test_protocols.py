"""The named protocols are the paper's text and VISSL's files, number by number; impossible ones are refused."""

import dataclasses
import math
from dataclasses import replace

import pytest

from results.cards import CARDS, Card
from results.refusal import Refusal
from results.settings import deviations
from transfer.cards import card, full_size_cards
from transfer.protocols import PROTOCOLS, Head, LinearProtocol, SvmProtocol, parse_head, spell_head

# Appendix B.4: dataset, lr, weight decay, momentum, batch, epochs, drops.
PAPER = [
    ("places205", 0.003, 1e-4, 0.9, 256, 28, (4, 8, 12)),
    ("inat18", 0.005, 1e-4, 0.9, 256, 84, (24, 48, 72)),
]
# "dims" of VISSL's heads for these layers at 224 pixels, first number.
VISSL_WIDTHS = {"conv1": 9216, "res2": 9216, "res3": 8192, "res4": 9216, "res5": 8192, "res5avg": 2048}


def linear(name: str) -> LinearProtocol:
    protocol = PROTOCOLS[name]
    assert isinstance(protocol, LinearProtocol)
    return protocol


@pytest.mark.parametrize(("name", "lr", "decay", "momentum", "batch", "epochs", "drops"), PAPER)
def test_the_linear_protocols_are_the_papers_text(
    name: str, lr: float, decay: float, momentum: float, batch: int, epochs: int, drops: tuple[int, ...]
) -> None:
    protocol = linear(name)
    assert (protocol.peak_lr, protocol.weight_decay, protocol.momentum) == (lr, decay, momentum)
    assert (protocol.global_batch_size, protocol.epochs, protocol.drop_epochs) == (batch, epochs, drops)


def test_the_heads_are_as_wide_as_vissls() -> None:
    for name in ("places205", "inat18"):
        assert {head.layer: head.feature_count(224) for head in linear(name).heads} == VISSL_WIDTHS


def test_the_svm_protocol_is_vissls_file_with_the_papers_crop() -> None:
    protocol = PROTOCOLS["voc07"]
    assert isinstance(protocol, SvmProtocol)
    assert protocol.costs == (0.01, 0.1, 1, 2, 5, 10, 15, 20, 50, 100, 1000)
    assert (protocol.folds, protocol.positive_weight, protocol.negative_weight) == (3, 2, 1)
    assert (protocol.tolerance, protocol.max_iterations, protocol.norm_epsilon) == (1e-4, 2000, 1e-5)
    assert (protocol.crop, protocol.feature.feature_count(224)) == ("centre", 2048)


@pytest.mark.parametrize(
    ("variant", "base", "changed"),
    [
        ("places205-equal-drops", "places205", ("drop_epochs: (4, 8, 12) -> (7, 14, 21)",)),
        ("places205-res5", "places205", ("cell_head: res5avg -> res5",)),
        ("inat18-res5", "inat18", ("cell_head: res5avg -> res5",)),
        ("voc07-squash", "voc07", ("crop: centre -> squash",)),
        ("voc07-res5", "voc07", ("feature.layer: res5avg -> res5", "feature.kernel: 0 -> 6")),
    ],
)
def test_a_variant_differs_in_nothing_but_what_it_is_named_for(
    variant: str, base: str, changed: tuple[str, ...]
) -> None:
    assert deviations(PROTOCOLS[base], PROTOCOLS[variant]) == changed


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("cell_head", "res4", "none of protocol.heads"),
        ("drop_epochs", (8, 4), "rising epochs"),
        ("epochs", 0, "must be positive"),
        ("resize", 16, "below protocol.image_size"),
        ("heads", (Head("res5avg"), Head("res5", kernel=6)), "does not fit its 1x1 map"),
        ("heads", (Head("res5avg"), Head("res5avg")), "names a layer twice"),
    ],
)
def test_an_impossible_linear_protocol_is_refused_by_field(field: str, value: object, message: str) -> None:
    base = replace(linear("places205-demo"), heads=(Head("res5avg"),))
    with pytest.raises(Refusal, match=message):
        replace(base, **{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(("field", "value"), [("costs", ()), ("costs", (0.0,)), ("folds", 1), ("resize", 1)])
def test_an_impossible_svm_protocol_is_refused(field: str, value: object) -> None:
    with pytest.raises(Refusal, match=f"protocol.{field}"):
        replace(SvmProtocol(), **{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_every_setting_of_every_protocol_has_a_source(name: str) -> None:
    rows = {row.setting: row for row in card(name).settings}
    for field in dataclasses.fields(PROTOCOLS[name]):
        assert rows[field.name].source, field.name


@pytest.mark.parametrize("one", full_size_cards(), ids=lambda one: one.protocol)
def test_the_committed_cards_are_current(one: Card) -> None:
    text = (CARDS / f"{one.protocol}.json").read_text(encoding="utf-8")
    assert text == one.file_text(), "run `python -m transfer cards`"
    assert one.open_questions


@pytest.mark.parametrize(
    ("text", "head"),
    [
        ("res5", Head("res5", kernel=6)),
        ("conv1", Head("conv1", kernel=10, stride=10, padding=4)),
        ("res4:2", Head("res4", kernel=2)),
        ("res3:3:2:1", Head("res3", kernel=3, stride=2, padding=1)),
    ],
)
def test_a_head_is_spelled_in_one_word(text: str, head: Head) -> None:
    assert parse_head(text) == head
    assert parse_head(spell_head(head)) == head


@pytest.mark.parametrize("text", ["res6", "res5:a", "res5:1:2:3:4", ""])
def test_a_word_that_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(Refusal, match="is not a head"):
        parse_head(text)


@pytest.mark.parametrize(
    ("name", "settings", "field"),
    [
        ("inat18", {"peak_lr": math.nan}, "peak_lr"),
        ("inat18", {"peak_lr": math.inf}, "peak_lr"),
        ("places205", {"momentum": -0.9}, "momentum"),
        ("places205", {"weight_decay": -1e-4}, "weight_decay"),
        ("places205", {"crop_area": (0.5, 0.2)}, "crop_area"),
        ("places205", {"crop_area": (0.5, 1.2)}, "crop_area"),
        ("voc07", {"costs": (1.0, math.inf)}, "costs"),
        ("voc07", {"tolerance": 0.0}, "tolerance"),
        ("voc07", {"max_iterations": 0}, "max_iterations"),
        ("voc07", {"norm_epsilon": -1.0}, "norm_epsilon"),
    ],
)
def test_numbers_that_are_none_or_out_of_range_are_refused(name: str, settings: dict[str, object], field: str) -> None:
    with pytest.raises(Refusal, match=rf"protocol\..*{field}"):
        replace(PROTOCOLS[name], **settings)  # type: ignore[arg-type]
