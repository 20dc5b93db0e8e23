"""Every method on two ranks, with unequal shares, computes what it computes on one: terms, gradients, momentum path."""

from pathlib import Path

import method_worker
import pytest
import ranks
import torch


@pytest.mark.distributed
def test_two_ranks_equal_one_for_every_method(tmp_path: Path) -> None:
    processes = []
    port = ranks.free_port()
    for rank, hash_seed in enumerate("13"):
        # Ranks that iterate a set of strings disagree on its order, and then on which sum over ranks comes first.
        environment = {**ranks.environment(rank, 2, port), "PYTHONHASHSEED": hash_seed}
        processes.append(ranks.subprocess.Popen(command(tmp_path), env=environment, cwd=ranks.ROOT))
    try:
        assert [process.wait(120) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    alone = method_worker.distributed.World(0, 1, torch.device("cpu"))
    saved = [torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in range(2)]
    for name, recipe in method_worker.CASES.items():
        expected = method_worker.two_steps(recipe, alone)
        assert any(key.startswith("state/target.network") for key in expected) == (name == "BYOL")
        for rank in range(2):
            assert saved[rank][name].keys() == expected.keys()
            for key, tensor in expected.items():
                difference = (saved[rank][name][key] - tensor).double().norm()
                assert difference <= 1e-9 * tensor.double().norm() + 1e-12, (name, rank, key, float(difference))


def command(folder: Path) -> list[str]:
    return [ranks.sys.executable, method_worker.__file__, str(folder)]
