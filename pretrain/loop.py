"""The training loop: from a recipe, a run and a world to resnet50.pth. Read `train`, then `Training.take_step`."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from data.listing import ImageList
from data.progress import track
from pretrain import checkpoint, distributed, machine, online_knn
from pretrain.distributed import World
from pretrain.interrupt import REQUEUE_STATUS, Interruption
from pretrain.journal import Journal
from pretrain.loader import Batch, remaining_batches
from pretrain.meter import Meter
from pretrain.methods import Outputs, build
from pretrain.optimizers import build_optimizer, set_rates
from pretrain.recompute import recompute_blocks
from pretrain.run import Run
from pretrain.schedule import warmup_cosine
from pretrain.settings import Recipe
from pretrain.statistics import collapse_statistics
from pretrain.unreadable import Skipped
from pretrain.views.device import ColourBatch, augment
from pretrain.watch import DivergedError, FiniteWatch
from results.refusal import Refusal

CONTINUE, SAVE, LEAVE = 0, 1, 2
DIVERGED_STATUS = 1


def train(recipe: Recipe, run: Run, images: ImageList, folder: Path, card: dict[str, Any], world: World) -> int:
    """Train to the end, or to a signal, from wherever `folder` says the run is.

    `card` describes the run; it is written beside every checkpoint. Returns 0 when the run is complete and its
    backbone file written, the requeue status after a signal, 1 when the loss is no longer finite.
    """
    training = Training(recipe, run, images, folder, card, world)
    training.resume()
    with Interruption() as interruption:
        try:
            finished = training.go_on(interruption)
        except DivergedError as end:
            training.note("stopped", reason=str(end))
            print(f"stopped: {end}; the last good checkpoint is kept under {folder}", flush=True)
            return DIVERGED_STATUS
        if not finished:
            interruption.pass_on()
            return REQUEUE_STATUS
    training.write_backbone()
    return 0


class Training:
    """A run in memory: networks, optimizer, position (`step`, the next to take) and log."""

    def __init__(
        self, recipe: Recipe, run: Run, images: ImageList, folder: Path, card: dict[str, Any], world: World
    ) -> None:
        self.recipe, self.run, self.folder, self.card, self.world = recipe, run, folder, card, world
        self.images = images
        self.steps_per_epoch = recipe.steps_per_epoch(len(images.paths))
        self.total_steps = recipe.epochs * self.steps_per_epoch
        self.step = 0
        machine.set_threads(run, world)
        machine.seed_everything(run.seed)
        self.dtype = machine.precision(run, world.device)
        self.method = build(recipe).to(world.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if run.compile:
            self.method.backbone.compile()
        if run.recompute_activations:
            recompute_blocks(self.method.backbone)
        self.network = distributed.parallel(self.method, world)
        self.optimizer = build_optimizer(recipe, self.method)
        self.scaler = torch.amp.GradScaler(world.device.type, enabled=self.dtype == torch.float16)
        self.watch, self.meter = FiniteWatch(), Meter(world.device)
        self.skipped = Skipped(run.max_unreadable_share, len(images.paths))
        self.journal: Journal | None = None
        self.last_save = time.monotonic()

    def resume(self) -> None:
        """Take up the newest undamaged state in the folder, if there is one, and open the log there."""
        found = checkpoint.last_state(self.folder) if self.world.is_first else None
        path: Path | None = distributed.broadcast_object(found)
        if path is not None:
            self._restore(checkpoint.load_state(path))
        if self.world.is_first:
            self.journal = Journal(self.folder, first_step=self.step, tensorboard=self.run.tensorboard)
            self.note("resume" if path else "start", ranks=self.world.size, precision=str(self.dtype))

    def go_on(self, interruption: Interruption) -> bool:
        """Take the remaining steps; False when a signal ended them early (the state is then saved).

        Raises:
            DivergedError: the loss is no longer finite.
        """
        for batch in self._remaining_batches():
            self.skipped.meet(batch.skips, self.note, agree=self._is_logged())
            self.take_step(batch)
            decision = self._decide(interruption)
            if decision != CONTINUE:
                self.save()
            if decision == LEAVE:
                self.note("interrupted", signal=interruption.requested)
                # No rank leaves before the first one has saved: the launcher would end them all.
                distributed.agree_on_maximum(LEAVE)
                return False
        self.watch.check()
        return True

    def take_step(self, batch: Batch) -> None:
        """Views, both forward passes, loss, gradients, LARS."""
        lr = self._set_lr()
        x_a = self._view(batch.pixels_a, batch.colours_a, self.recipe.view_a.blur_kernel)
        x_b = self._view(batch.pixels_b, batch.colours_b, self.recipe.view_b.blur_kernel)
        with torch.autocast(self.world.device.type, self.dtype, enabled=self.dtype != torch.float32):
            outputs: Outputs = self.network(x_a, x_b)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(outputs.terms["loss"]).backward()  # type: ignore[no-untyped-call]
        self.watch.push(self.step, outputs.terms)
        if self._is_logged():
            self._log(outputs, lr)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.method.after_step(self.step, self.total_steps)
        self.meter.took_step(self._batch_images())
        self.step += 1

    def _batch_images(self) -> int:
        """Images of this step over all ranks; the last batch of an epoch may be short."""
        size = self.recipe.global_batch_size
        return min(size, len(self.images.paths) - self.step % self.steps_per_epoch * size)

    def save(self) -> None:
        """Write the whole state; every rank takes part, the first one writes.

        Raises:
            DivergedError: the last loss or a weight is not finite; nothing is written then.
        """
        self.watch.check()
        self.skipped.agree()
        if not checkpoint.all_finite(list(self.method.state_dict().values())):
            raise DivergedError(f"step {self.step}: a weight is not finite")
        random_states = distributed.gather_objects(machine.random_state(self.world.device))
        if self.world.is_first:
            state = {
                "step": self.step,
                "recipe_hash": self.card["recipe_hash"],
                "method": self.method.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "scaler": self.scaler.state_dict(),
                "random_states": random_states,
                "skipped": self.skipped.reasons,
            }
            checkpoint.save_state(self.folder, state, self._dated_card(), keep=self.run.keep_checkpoints)
        self.last_save = time.monotonic()

    def write_backbone(self) -> None:
        """Write what is kept of the run: the backbone with torchvision's names, and its card."""
        if self.world.is_first:
            path = self.folder / f"{self.recipe.architecture}.pth"
            checkpoint.save_backbone(path, self.method.backbone.state_dict(), self._dated_card())
            self.note("done", backbone=str(path))
            print(f"wrote {path}", flush=True)

    def note(self, event: str, **details: Any) -> None:
        """Write an event to the log, on the first rank."""
        if self.journal is not None:
            self.journal.event(self.step, event, **details)

    def _view(self, pixels: torch.Tensor, colours: Any, kernel: int) -> torch.Tensor:
        return augment(pixels.to(self.world.device, non_blocking=True), ColourBatch(colours), blur_kernel=kernel)

    def _set_lr(self) -> float:
        warmup_steps = self.recipe.warmup_epochs * self.steps_per_epoch
        lr = warmup_cosine(
            self.step,
            total_steps=self.total_steps,
            warmup_steps=warmup_steps,
            peak_lr=self.recipe.peak_lr,
            final_lr=self.recipe.end_lr,
        )
        set_rates(self.optimizer, self.recipe, lr)
        return lr

    def _remaining_batches(self) -> Iterator[Batch]:
        chosen = (self.images.paths, self.recipe, self.run)
        loader = remaining_batches(*chosen, self.world, self.step, self.skipped.limit)
        iterator = iter(loader)
        for _ in track(range(len(loader)), f"pretraining, {self.recipe.epochs} epochs"):
            before = time.perf_counter()
            batch = next(iterator)
            self.meter.waited(time.perf_counter() - before)
            yield batch

    def _decide(self, interruption: Interruption) -> int:
        own = LEAVE if interruption.requested else CONTINUE
        ends_epoch = self.step % (self.steps_per_epoch * self.run.checkpoint_every_epochs) == 0
        overdue = time.monotonic() - self.last_save > 60 * self.run.checkpoint_every_minutes
        if own == CONTINUE and (ends_epoch or overdue or self.step == self.total_steps):
            own = SAVE
        return distributed.agree_on_maximum(own)

    def _log(self, outputs: Outputs, lr: float) -> None:
        self.scaler.unscale_(self.optimizer)
        statistics = collapse_statistics(outputs)
        terms = {name: float(value.detach()) for name, value in outputs.terms.items()}
        gradients = [p.grad for p in self.method.parameters() if p.grad is not None]
        grad_norm = float(torch.nn.utils.get_total_norm(gradients))
        if self.journal is not None:
            speed = self.meter.read()
            epoch = round(self.step / self.steps_per_epoch, 4)
            numbers = {"epoch": epoch, **terms, "lr": lr, "grad_norm": grad_norm, **statistics, **speed}
            numbers["unreadable_images"] = len(self.skipped.reasons)
            self.journal.metrics(self.step, numbers | self._neighbours())

    def _is_logged(self) -> bool:
        last = self.step == self.total_steps - 1
        return last or self.step % self.run.log_every_steps == 0 or self._measures_neighbours()

    def _measures_neighbours(self) -> bool:
        every = self.run.knn_every_epochs * self.steps_per_epoch
        return every > 0 and (self.step + 1) % every == 0

    def _neighbours(self) -> dict[str, float]:
        if not self._measures_neighbours():
            return {}
        workers, device, size = machine.worker_count(self.run, self.world), self.world.device, self.recipe.view_a.size
        with torch.autocast(device.type, self.dtype, enabled=self.dtype != torch.float32):
            return online_knn.monitored(self.method.backbone, self.run.data, size=size, device=device, workers=workers)

    def _dated_card(self) -> dict[str, Any]:
        position = {"step": self.step, "epoch": round(self.step / self.steps_per_epoch, 4)}
        return {**self.card, **position, "unreadable_images": len(self.skipped.reasons)}

    def _restore(self, state: dict[str, Any]) -> None:
        if state["recipe_hash"] != self.card["recipe_hash"]:
            raise Refusal(
                f"{self.folder} was begun with recipe hash {state['recipe_hash']}, this command has "
                f"{self.card['recipe_hash']}; repeat the first command, or choose another --run.output"
            )
        self.method.load_state_dict(state["method"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.skipped.restore(state.get("skipped", {}))
        if len(state["random_states"]) == self.world.size:
            machine.set_random_state(state["random_states"][self.world.rank], self.world.device)
        self.step = int(state["step"])
