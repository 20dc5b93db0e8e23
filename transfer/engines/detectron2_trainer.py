"""Detectron2's own trainer with our data sets, evaluators and schedule; what every rank runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from results import sealed
from results.refusal import Refusal
from transfer.engines import detectron2_compat
from transfer.engines.child import die_with_parent
from transfer.engines.detectron2_data import Splits, image_count, registered
from transfer.engines.detectron2_process import note_refusal
from transfer.engines.detectron2_task import CONVERTED_FILE, DETECTIONS_FILE, METRICS_FILE, RESULTS_FILE, Task

detectron2_compat.prepare()

from detectron2.engine import DefaultTrainer, hooks  # noqa: E402  (only after prepare)
from detectron2.utils import comm  # noqa: E402
from detectron2.utils.env import seed_all_rng  # noqa: E402
from detectron2.utils.events import CommonMetricPrinter, JSONWriter  # noqa: E402
from detectron2.utils.logger import setup_logger  # noqa: E402

from transfer.engines import detectron2_evaluators  # noqa: E402
from transfer.engines.detectron2_config import configuration  # noqa: E402
from transfer.engines.detectron2_stream import Reseeded, train_loader  # noqa: E402

CHECKPOINTS_KEPT = 2
WRITES_PER_RUN = 100


class Trainer(DefaultTrainer):  # type: ignore[misc]
    """Detectron2's default trainer; only what it leaves to its user is filled in."""

    def build_hooks(self) -> list[Any]:
        """Detectron2's hooks, keeping few checkpoints and writing metrics often enough for a progress bar."""
        built: list[Any] = super().build_hooks()
        for hook in built:
            if isinstance(hook, hooks.PeriodicCheckpointer):
                hook.max_to_keep = CHECKPOINTS_KEPT
                # Those of an interrupted session count too, or they would stay for good.
                hook.recent_checkpoints = sorted(map(str, Path(self.cfg.OUTPUT_DIR).glob("model_0*.pth")))
            if isinstance(hook, hooks.PeriodicWriter):
                hook._period = max(1, min(20, self.max_iter // WRITES_PER_RUN))
        return [Reseeded(self.cfg.SEED, comm.get_rank()), *built]

    def build_writers(self) -> list[Any]:
        """Its log and its metrics file, without the TensorBoard that nobody here reads."""
        return [CommonMetricPrinter(self.max_iter), JSONWriter(str(Path(self.cfg.OUTPUT_DIR) / METRICS_FILE))]

    @classmethod
    def build_train_loader(cls, cfg: Any) -> DataLoader[Any]:
        """The same images in the same order as Detectron2's, from a place of our choosing."""
        return train_loader(cfg)

    def resume_or_load(self, resume: bool = True) -> None:
        """Detectron2's, and the images go on where the checkpoint's ended."""
        super().resume_or_load(resume=resume)
        self._trainer.data_loader.batch_sampler.first = self.start_iter
        if "_data_loader_iter" in vars(self._trainer):  # Detectron2 0.6 has begun to read already
            self._trainer._data_loader_iter = iter(self._trainer.data_loader)

    @classmethod
    def build_evaluator(cls, cfg: Any, dataset_name: str) -> Any:
        """Our evaluators of the test set; the configuration's masks tell COCO's protocol from VOC's."""
        dataset = "coco" if cfg.MODEL.MASK_ON else "voc0712"
        return detectron2_evaluators.build(dataset, dataset_name, Path(cfg.OUTPUT_DIR))


def work(task: Task, splits: Splits, device: str, parent: int | None) -> None:
    """Fine-tune and measure on this rank, from the last checkpoint in the run folder if there is one.

    Rank 0 writes the results when all is done. `parent` is the process without which this one must not go on, where
    Detectron2 has started several.
    """
    if parent is not None:
        die_with_parent(parent)
    from transfer.engines import detectron2_head  # noqa: F401  (makes the head known)

    setup_logger(task.folder, distributed_rank=comm.get_rank(), name="fvcore")
    setup_logger(task.folder, distributed_rank=comm.get_rank())
    if device == "cpu":
        detectron2_compat.allow_data_parallel_on_cpu()
    detectron2_compat.seal_checkpoints()
    detectron2_compat.name_unusable_images()
    with refusals_noted(task), registered(splits) as (train, test):
        config = run_configuration(task, train, test, device)
        seed_all_rng(task.seed + comm.get_rank())
        refuse_another_command(task)
        trainer = Trainer(config)
        trainer.resume_or_load()
        trainer.train()
        if comm.is_main_process():
            _keep_final(trainer, Path(task.folder))
            _write_results(task, splits, trainer, device)


@contextmanager
def refusals_noted(task: Task) -> Iterator[None]:
    """With several ranks a refusal reaches the process that started them as a traceback: its words are kept here."""
    try:
        yield
    except Refusal as refusal:
        note_refusal(task, refusal)
        raise


def refuse_another_command(task: Task) -> None:
    """Raises Refusal unless all machines were given the same protocol, checkpoint, data and seed.

    Of all these the folder's name is made.
    """
    names = [Path(folder).name for folder in comm.all_gather(task.folder)]
    if different := [name for name in names if name != names[0]]:
        raise Refusal(
            f"another machine works in {different[0]}, this run's first one in {names[0]}; start the same command on "
            "all of them, but for --run.node-rank"
        )


def run_configuration(task: Task, train: tuple[str, ...], test: tuple[str, ...], device: str) -> Any:
    """The protocol's configuration with this run's paths, data sets and device."""
    config = configuration(task.protocol)
    config.MODEL.WEIGHTS = str(task.file(CONVERTED_FILE))
    config.MODEL.DEVICE = device
    config.DATASETS.TRAIN, config.DATASETS.TEST = train, test
    config.DATALOADER.NUM_WORKERS = task.workers
    config.OUTPUT_DIR = task.folder
    config.SOLVER.CHECKPOINT_PERIOD = task.checkpoint_iterations
    config.SEED = task.seed
    config.freeze()
    return config


def _keep_final(trainer: Trainer, folder: Path) -> None:
    """Write the final checkpoint if it is not there: Detectron2 does not where it was killed just before."""
    if sealed.damage(folder / "model_final.pth"):
        trainer.checkpointer.save("model_final", iteration=trainer.max_iter - 1)


def _write_results(task: Task, splits: Splits, trainer: Trainer, device: str) -> None:
    content = {
        "metrics": trainer._last_eval_results,
        "test_images": sum(image_count(split) for split in splits.test),
        "train_images": sum(image_count(split) for split in splits.train),
        "detections": detectron2_evaluators.detection_count(task.file(DETECTIONS_FILE)),
        # Where training was resumed at its end, Detectron2's own counter is one too high.
        "iterations": min(trainer.iter, trainer.max_iter),
        "images_per_batch": trainer.cfg.SOLVER.IMS_PER_BATCH,
        "base_lr": trainer.cfg.SOLVER.BASE_LR,
        "processes": comm.get_world_size(),
        "accelerator": f"{comm.get_world_size()} x {torch.cuda.get_device_name()}" if device == "cuda" else "",
        "coco_api": detectron2_compat.coco_api(),
    }
    # NaN marks a class without objects; JSON has no word for it.
    sealed.write_json(task.file(RESULTS_FILE), _without_nan(content))


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    return None if isinstance(value, float) and value != value else value
