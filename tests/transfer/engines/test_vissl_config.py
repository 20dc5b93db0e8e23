"""What VISSL is told, against the paper's text, and VISSL's own reading of it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from results.refusal import Refusal
from transfer.engines.vissl_config import BASES, Machine, delta, learning_rates, pool_operation
from transfer.protocols import PROTOCOLS, Head, LinearProtocol

LISTS = {
    f"{split}_{kind}": Path(f"/x/{split}_{kind}.npy") for split in ("train", "val") for kind in ("images", "labels")
}
GPUS = Machine(processes=8, gpu=True, workers=4, folder=Path("/x/vissl"), weights=Path("/x/weights.torch"), seed=3)
CPU = replace(GPUS, processes=1, gpu=False)


def linear(name: str) -> LinearProtocol:
    protocol = PROTOCOLS[name]
    assert isinstance(protocol, LinearProtocol)
    return protocol


def test_the_learning_rate_falls_tenfold_at_each_drop() -> None:
    assert learning_rates(linear("places205")) == pytest.approx([3e-3, 3e-4, 3e-5, 3e-6])
    assert learning_rates(linear("inat18")) == pytest.approx([5e-3, 5e-4, 5e-5, 5e-6])


def test_the_batch_is_divided_among_gpus_and_an_uneven_division_is_refused() -> None:
    told = delta(linear("places205"), GPUS, 205, LISTS)
    assert told["DATA"]["TRAIN"]["BATCHSIZE_PER_REPLICA"] == 32
    with pytest.raises(Refusal, match=r"256 cannot be split over 3 GPUs"):
        delta(linear("places205"), replace(GPUS, processes=3), 205, LISTS)


def test_batch_norm_is_synchronised_over_several_gpus_only() -> None:
    for machine, expected in ((GPUS, True), (replace(GPUS, processes=1), False), (CPU, False)):
        told = delta(linear("places205"), machine, 205, LISTS)["MODEL"]["SYNC_BN_CONFIG"]
        assert (told["CONVERT_BN_TO_SYNC_BN"], told["SYNC_BN_TYPE"]) == (expected, "pytorch")


def test_cpu_runs_use_gloo_and_a_chosen_port_is_passed_on() -> None:
    told = delta(linear("places205"), replace(CPU, port=4711), 205, LISTS)
    assert told["MACHINE"]["DEVICE"] == "cpu"
    assert told["DISTRIBUTED"]["BACKEND"] == "gloo"
    assert told["DISTRIBUTED"]["RUN_ID"] == "localhost:4711"
    assert delta(linear("places205"), GPUS, 205, LISTS)["DISTRIBUTED"]["RUN_ID"] == "auto"


def test_a_pool_is_written_as_vissl_reads_it() -> None:
    assert pool_operation(Head("conv1", 10, 10, 4)) == ["conv1", ["AvgPool2d", [[10, 10], 10, 4]]]
    assert pool_operation(Head("res5avg")) == ["res5avg", ["Identity", []]]


def composed(protocol: LinearProtocol, classes: int) -> Any:
    from transfer.engines import vissl_compat
    from transfer.engines.vissl_worker import compose

    with vissl_compat.quiet():
        return compose(BASES[protocol.dataset], delta(protocol, CPU, classes, LISTS))


def plain_base(dataset: str) -> Mapping[str, Any]:
    from transfer.engines import vissl_compat
    from transfer.engines.vissl_worker import compose

    with vissl_compat.quiet():
        config: Mapping[str, Any] = compose(BASES[dataset], {"CHECKPOINT": {"DIR": "/tmp"}})
        return config


@pytest.mark.engine
@pytest.mark.parametrize(("name", "classes"), [("places205", 205), ("inat18", 8142)])
def test_vissl_reads_the_papers_settings_out_of_the_delta(name: str, classes: int) -> None:
    protocol = linear(name)
    told = composed(protocol, classes)
    optimizer = told.OPTIMIZER
    assert (optimizer.name, optimizer.momentum, optimizer.nesterov) == ("sgd", 0.9, True)
    assert (optimizer.weight_decay, optimizer.num_epochs) == (1e-4, protocol.epochs)
    assert (optimizer.regularize_bn, optimizer.regularize_bias) == (False, True)
    schedule = optimizer.param_schedulers.lr
    assert schedule["values"] == pytest.approx(learning_rates(protocol))
    assert tuple(schedule["milestones"]) == protocol.drop_epochs
    assert told.METERS.accuracy_list_meter.meter_names == [head.layer for head in protocol.heads]


@pytest.mark.engine
@pytest.mark.parametrize(("name", "classes"), [("places205", 205), ("inat18", 8142)])
def test_heads_pools_and_transforms_are_those_of_vissls_own_file(name: str, classes: int) -> None:
    theirs, ours = plain_base(name), composed(linear(name), classes)
    their_heads = theirs["MODEL"]["HEAD"]["PARAMS"]
    assert ours["MODEL"]["HEAD"]["PARAMS"][: len(their_heads)] == their_heads
    pools = "LINEAR_EVAL_FEAT_POOL_OPS_MAP"
    their_pools = theirs["MODEL"]["FEATURE_EVAL_SETTINGS"][pools]
    assert ours["MODEL"]["FEATURE_EVAL_SETTINGS"][pools][: len(their_pools)] == their_pools
    assert ours["MODEL"]["FEATURE_EVAL_SETTINGS"]["FREEZE_TRUNK_ONLY"]
    assert ours["DATA"]["TEST"]["TRANSFORMS"] == theirs["DATA"]["TEST"]["TRANSFORMS"]
    crop, *rest = ours["DATA"]["TRAIN"]["TRANSFORMS"]
    assert crop.pop("scale") == [0.08, 1.0]  # torchvision's default, which their file leaves unsaid
    assert [crop, *rest] == theirs["DATA"]["TRAIN"]["TRANSFORMS"]
