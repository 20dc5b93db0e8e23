"""What "auto" means on this machine."""

import os
import random
from pathlib import Path

import torch

from pretrain.distributed import World
from pretrain.run import Run
from results.refusal import Refusal

MOST_WORKERS = 16


def precision(run: Run, device: torch.device) -> torch.dtype:
    """The dtype of the network's activations.

    Raises:
        Refusal: fp16 was asked for on a CPU, where it is neither fast nor scaled.
    """
    if run.precision == "fp16":
        if device.type != "cuda":
            raise Refusal("run.precision is fp16, which needs a GPU; use bf16 or float32 on a CPU")
        return torch.float16
    if run.precision == "auto":
        return torch.bfloat16 if device.type == "cuda" or _cpu_has_bf16() else torch.float32
    return torch.bfloat16 if run.precision == "bf16" else torch.float32


def worker_count(run: Run, world: World) -> int:
    """Loader processes of this rank: what was asked for, or a fair share of this node's cores.

    On a CPU the training itself wants the cores, so one worker prepares images beside it.
    """
    if run.workers is not None:
        return run.workers
    if world.device.type == "cpu":
        return 1
    return max(1, min(MOST_WORKERS, _cores()))


def set_threads(run: Run, world: World) -> None:
    """Let CPU operations use `run.threads`, or as many cores as are left beside the workers."""
    if run.threads is not None:
        torch.set_num_threads(run.threads)
    elif world.device.type == "cpu" and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, _cores() - worker_count(run, world)))


def _cores() -> int:
    """This rank's share of the cores this process may use."""
    return len(os.sched_getaffinity(0)) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def seed_everything(seed: int) -> None:
    """Set the random states that initial weights come from; the same on every rank."""
    random.seed(seed)
    torch.manual_seed(seed)


def random_state(device: torch.device) -> dict[str, torch.Tensor]:
    """This rank's random states. Views and order do not use them: those are functions of seed, epoch and image."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_random_state(state: dict[str, torch.Tensor], device: torch.device) -> None:
    """Put back what `random_state` returned."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)


def _cpu_has_bf16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
