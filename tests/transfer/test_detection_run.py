"""What a machine may provide for a detector, and what it may not."""

from typing import Any

import pytest

from results.refusal import Refusal
from transfer.detection_run import DetectionRun


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"nodes": 2, "node_rank": 2, "rendezvous": "tcp://a:1"}, "run.node_rank is 2 of run.nodes 2"),
        ({"nodes": 0}, "ranks go from 0"),
        ({"nodes": 2}, "set run.rendezvous to tcp://HOST:PORT"),
        ({"nodes": 2, "rendezvous": "tcp://host:99999"}, "set run.rendezvous to tcp://HOST:PORT"),
        ({"nodes": 2, "rendezvous": "tcp://host:0"}, "set run.rendezvous to tcp://HOST:PORT"),
        ({"checkpoint_iterations": 0}, "run.checkpoint_iterations is 0"),
        ({"gpus": -1}, "run.gpus is -1"),
    ],
)
def test_impossible_settings_are_refused_by_name(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(Refusal, match=message):
        DetectionRun(checkpoint="random-init", **settings)


def test_several_machines_with_a_meeting_point_are_accepted() -> None:
    for place in ("tcp://host:29500", "tcp://[fe80::1]:65535"):
        assert DetectionRun(checkpoint="random-init", nodes=2, node_rank=1, rendezvous=place).node_rank == 1
