"""The process in which VISSL runs: `python -m transfer.engines.vissl_worker RUN_FOLDER`, started by `vissl` alone.

It proves the converted weights in VISSL's own trunk, trains, and checks at the end that the trunk did not move.
"""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import torch

from results import sealed
from results.refusal import Refusal, run_command_line
from transfer.engines import vissl_compat
from transfer.engines.child import die_with_parent

TRUNK = "trunk.base_model."


def hooks(config: Any) -> list[Any]:
    """VISSL's own hooks and ours; VISSL calls this in every process it starts."""
    from vissl.hooks import default_hook_generator

    vissl_compat.adapt()
    return [*default_hook_generator(config), vissl_compat.reseeding_hook(config.SEED_VALUE)]


def compose(base: str, delta: dict[str, Any]) -> Any:
    """VISSL's configuration: its defaults, its file `base` from the package `configs`, and `delta` over both."""
    from omegaconf import OmegaConf
    from vissl.utils.hydra_config import compose_hydra_configuration, convert_to_attrdict

    composed = compose_hydra_configuration(["hydra.searchpath=[pkg://configs]", f"config={base}"])
    OmegaConf.set_struct(composed, False)
    _, config = convert_to_attrdict(OmegaConf.merge(composed, {"config": delta}), dump_config=False)
    return config


def prove_weights(folder: Path, plan: dict[str, Any]) -> None:
    """Write the proof of the converted weights beside them, before anything trains."""
    from evaluate.checkpoint import load_backbone
    from transfer.engines.vissl_proof import prove

    proof = prove(folder / "weights.torch", load_backbone(plan["checkpoint"]))
    print("\n".join(proof.lines), flush=True)
    sealed.write_json(folder / "proof.json", dataclasses.asdict(proof))


def check_trunk(folder: Path, weights: Path) -> None:
    """Raise Refusal if the trunk in VISSL's final checkpoint is not bit for bit the one it was given."""
    from vissl.config import AttrDict

    with torch.serialization.safe_globals([AttrDict]):
        final = torch.load(next(folder.glob("model_final_checkpoint*")), map_location="cpu", mmap=True)
    before = torch.load(weights, map_location="cpu", mmap=True)["classy_state_dict"]["base_model"]["model"]["trunk"]
    after = final["classy_state_dict"]["base_model"]["model"]["trunk"]
    for name, tensor in before.items():
        moved = after[f"base_model.{name}"]
        # VISSL does not load the batch counters, and nothing in a frozen trunk reads them.
        if not name.endswith("num_batches_tracked") and not torch.equal(tensor, moved):
            raise Refusal(f"the frozen trunk changed while its heads were trained, first at {name}")


def work() -> int:
    """Run the plan in the folder named on the command line; everything printed goes to the engine's log."""
    die_with_parent()
    folder = Path(sys.argv[1])
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    torch.set_num_threads(plan["threads"])
    with vissl_compat.quiet():
        prove_weights(folder, plan)
        from vissl.utils.distributed_launcher import launch_distributed

        vissl_compat.adapt()
        config = compose(plan["base"], plan["delta"])
        launch_distributed(config, node_id=0, engine_name="train", hook_generator=hooks)
        check_trunk(Path(config.CHECKPOINT.DIR), folder / "weights.torch")
    return 0


if __name__ == "__main__":
    run_command_line(work)
