"""The engine's own process: `python -m transfer.engines.detectron2_process TASK.json`.

Converts the backbone and proves the conversion, once a run folder, then starts the ranks. A refusal ends it with status
2 and its message in `refusal.txt`, for the command that started it to pass on.
"""

import os
import sys
from pathlib import Path

from results import atomic, sealed
from results.refusal import USAGE_STATUS, Refusal, own_words
from transfer.detection_protocols import DetectionProtocol
from transfer.engines.child import die_with_parent
from transfer.engines.detectron2_task import CONVERTED_FILE, PROOF_FILE, REFUSAL_FILE, Task, read_task
from transfer.engines.whole_checkpoints import for_detectron2
from transfer.run import even_share


def main(task_file: str) -> int:
    """Do the task; the exit status."""
    die_with_parent()
    task = read_task(Path(task_file))
    try:
        run(task)
    except Exception as error:
        # What a rank refused is noted already; of several ranks it arrives here as a traceback.
        if not task.file(task.own_name(REFUSAL_FILE)).exists():
            if not isinstance(error, Refusal):
                raise
            note_refusal(task, error)
        return USAGE_STATUS
    return 0


def note_refusal(task: Task, refusal: Refusal) -> None:
    """Leave what was refused for the command that started this process."""
    atomic.write_text(task.file(task.own_name(REFUSAL_FILE)), own_words(refusal))
    print(f"error: {own_words(refusal)}", file=sys.stderr)


def run(task: Task) -> None:
    """Find the images, prove the conversion, and run `detectron2_trainer.work` on every rank of this machine.

    Raises:
        Refusal: the data or the checkpoint cannot be used, or the batch does not divide among the processes.
    """
    from transfer.engines.detectron2_data import find_splits

    splits = find_splits(
        task.protocol.dataset, Path(task.data), limit=task.limit, seed=task.seed, work=task.file("lists")
    )
    device, processes = devices(task)
    check_ranks(task.protocol, device, processes * task.nodes)
    if task.node_rank == 0:
        convert_and_prove(task)
        for_detectron2(Path(task.folder))
    from detectron2.engine import launch

    from transfer.engines.detectron2_trainer import work

    several = processes * task.nodes > 1
    arguments = (task, splits, device, os.getpid() if several else None)
    launch(work, processes, task.nodes, task.node_rank, task.rendezvous or "auto", args=arguments)


def check_ranks(protocol: DetectionProtocol, device: str, ranks: int) -> None:
    """Whether the batch can be shared among `ranks` processes, one on each device.

    Raises:
        Refusal: it does not divide, or its batch norms cannot be shared there.
    """
    if protocol.effective_images_per_batch % ranks:
        raise Refusal(
            f"{protocol.effective_images_per_batch} images a batch cannot be shared among {ranks} processes; "
            "set --run.gpus so that it divides"
        )
    if device == "cpu" and ranks > 1 and "SyncBN" in (protocol.norm, protocol.fpn_norm):
        raise Refusal("torch's SyncBN needs GPUs; give --protocol.norm naiveSyncBN and, with an FPN, fpn-norm too")


def devices(task: Task) -> tuple[str, int]:
    """The kind of device and how many processes to start for it.

    Raises:
        Refusal: GPUs are asked for that this machine does not have.
    """
    import torch

    found = torch.cuda.device_count()
    if task.device == "cpu" or (task.device == "auto" and not found and not task.processes):
        return "cpu", max(1, task.processes)
    if task.processes > found or not found:
        raise Refusal(f"{task.processes or 'all'} GPUs are asked for and {found} found; set --run.gpus or --run.device")
    return "cuda", task.processes or even_share(found, task.protocol.effective_images_per_batch // task.nodes)


def convert_and_prove(task: Task) -> None:
    """Write the converted backbone and its proof into the run folder, unless a proven one is there already.

    Raises:
        Refusal: the checkpoint is no ResNet-50, or the conversion is wrong; no converted file is left then.
    """
    from evaluate.checkpoint import load_with_warnings
    from transfer.convert import write
    from transfer.engines.detectron2_proof import prove

    converted, proof_file = task.file(CONVERTED_FILE), task.file(PROOF_FILE)
    if not sealed.damage(converted) and sealed.is_whole_json(proof_file):
        return
    backbone = load_with_warnings(task.checkpoint)
    unproven = converted.with_name(f"unproven-{converted.name}")
    try:
        write(backbone.state_dict, "detectron2", unproven)
        # The detector of the protocol as it will run, pixels included.
        proof = prove(unproven, backbone, (task.protocol,))
        unproven.replace(converted)
        sealed.seal(converted)
    finally:
        unproven.unlink(missing_ok=True)
    for line in proof.lines:
        print(line, flush=True)
    sealed.write_json(proof_file, {"lines": list(proof.lines)})


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
