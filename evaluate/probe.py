"""The one training loop behind the linear and the semi-supervised cells."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from data.listing import ImageList
from data.progress import track
from evaluate.features import FeatureKey, FeatureStore, cached_features
from evaluate.heads import Heads
from evaluate.images import normalised, pixel_batches
from evaluate.job import Job
from evaluate.journal import Journal
from evaluate.plan import Plan
from evaluate.predictions import Predictions, image_names, write_predictions
from evaluate.probe_state import load_state, save_state
from evaluate.protocols import Probe
from evaluate.trunk import keep_running_statistics, trunk_features
from pretrain.distributed import World, broadcast_object, gather_objects, sum_over_ranks
from results.refusal import Refusal

LINES_PER_EPOCH = 20
VALIDATION_BATCH = 256
FINAL_PREDICTIONS = "predictions-final.npz"


def best_predictions(metric: str) -> str:
    """The file with the predictions of the epoch that was best in "top1" or "top5"."""
    return f"predictions-best-{metric}.npz"


class ProbeTraining:
    """Trains `heads` (and the trunk, if the protocol says so) from wherever the work folder left off.

    `trunk` is in evaluation mode and without gradients on `world.device`, as `loaded_trunk` returns it.
    """

    def __init__(self, job: Job, trunk: nn.Module, train: ImageList, val: ImageList, world: World) -> None:
        assert isinstance(job.protocol, Probe)
        self.job, self.protocol, self.world = job, job.protocol, world
        self.trunk, self.train, self.val = trunk, train, val
        self.plan = Plan(self.protocol, len(train.paths), job.run.seed, world.size)
        rates = self.protocol.head_learning_rates
        heads = Heads(len(rates), len(train.classes), std=self.protocol.head_initial_std, seed=job.run.seed)
        self.heads = heads.to(world.device)
        trunk.requires_grad_(self.protocol.fine_tunes)
        self.optimizer = self._new_optimizer()
        self.labels = torch.tensor(train.labels, device=world.device)
        self.position = load_state(job.folder, self.heads, self.optimizer, self._trained_trunk)
        self.resumed = self.position.step > 0
        self.saved = time.monotonic()
        self.val_features = None if self.protocol.fine_tunes else self._frozen_features()
        self.journal = Journal(job.folder, resumed_step=self.position.step) if world.is_first else None

    def run(self) -> list[dict[str, Any]]:
        """Train to the end; returns one entry of numbers for each epoch."""
        pixels = pixel_batches(
            self.train.paths,
            self.protocol.train_view,
            _Lazy(self.plan, self.position.step, self.world.rank),
            self.job.run.workers,
        )
        try:
            for epoch in range(self.position.step // self.plan.steps_per_epoch, self.protocol.epochs):
                self._epoch(epoch, pixels)
        finally:
            if self.journal:
                self.journal.close()
        return self.position.history

    def _epoch(self, epoch: int, pixels: Iterator[Tensor]) -> None:
        factor = self.protocol.learning_rate_factor(epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = factor * group["peak_lr"]
        self.trunk.train(self.protocol.fine_tunes)
        steps = self.plan.chunks(epoch)
        first = self.position.step % self.plan.steps_per_epoch
        description = f"{self.job.name}: epoch {epoch + 1} of {self.protocol.epochs}"
        for chunks in track(steps[first:], description):
            started = time.monotonic()
            losses = self._step(chunks, pixels)
            self.position.step += 1
            self.position.seconds += time.monotonic() - started
            if self.position.step % max(1, self.plan.steps_per_epoch // LINES_PER_EPOCH) == 0:
                self._log_step(losses, sum(map(len, chunks)), time.monotonic() - started)
            if self.position.step < (epoch + 1) * self.plan.steps_per_epoch:
                self._save_if_due()
        self._finish_epoch(epoch)

    def _step(self, chunks: list[list[int]], pixels: Iterator[Tensor]) -> Tensor:
        """One optimiser step on the images of all `chunks`; returns the mean loss of each head, (heads,)."""
        count = sum(map(len, chunks))
        total = torch.zeros(len(self.protocol.head_learning_rates), device=self.world.device)
        self.optimizer.zero_grad(set_to_none=False)
        for position in range(self.world.rank, len(chunks), self.world.size):
            images = normalised(next(pixels), self.world.device)
            # The released code lets the first of its ranks keep the running statistics; so does the first chunk here.
            keep_running_statistics(self.trunk, position == 0)
            features = trunk_features(self.trunk, images, self.job.run.precision)  # (n, 2048)
            losses = self.heads.loss_sums(features, self.labels[chunks[position]]) / count  # (heads,)
            losses.sum().backward()  # type: ignore[no-untyped-call]
            total += losses.detach()
        self._sum_gradients()
        self.optimizer.step()
        return sum_over_ranks(total)

    def _sum_gradients(self) -> None:
        if self.world.size == 1:
            return
        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        for parameter in parameters:
            if parameter.grad is None:  # this rank had no chunk in the first step
                parameter.grad = torch.zeros_like(parameter)
        flat = sum_over_ranks(torch.cat([parameter.grad.reshape(-1) for parameter in parameters]))
        for parameter, total in zip(parameters, torch.split(flat, [p.numel() for p in parameters]), strict=True):
            parameter.grad.copy_(total.view_as(parameter))

    def _finish_epoch(self, epoch: int) -> None:
        """Validate, note the numbers, keep predictions and state; a diverged head is refused."""
        self._refuse_if_diverged()
        started = time.monotonic()
        predictions, shares = self._validate()
        entry: dict[str, Any] = {"epoch": epoch + 1, **shares[0]}
        entry["heads"] = [
            {"learning_rate": rate, **share}
            for rate, share in zip(self.protocol.head_learning_rates, shares, strict=True)
        ]
        before = self.position.history
        improved = [name for name in ("top1", "top5") if all(entry[name] > old[name] for old in before)]
        self.position.history.append(entry)
        self.position.seconds += time.monotonic() - started
        if self.journal is None:
            return
        self.journal.write(self.position.step, event="validation", **entry)
        write_predictions(self.job.folder / FINAL_PREDICTIONS, predictions)
        for name in improved:
            write_predictions(self.job.folder / best_predictions(name), predictions)
        self._save_if_due(last=epoch + 1 == self.protocol.epochs)

    @torch.no_grad()
    def _validate(self) -> tuple[Predictions, list[dict[str, float]]]:
        """Predictions of the cell's head, and every head's top-1 and top-5 per cent; each image counts once."""
        self.trunk.eval()
        self._share_statistics()
        own = list(range(self.world.rank, len(self.val.paths), self.world.size))
        ranked = torch.cat([self.heads.ranked(rows).cpu() for rows in self._val_rows(own)], dim=1)  # (heads, own, 5)
        everything = np.full((len(self.heads.heads), len(self.val.paths), ranked.shape[2]), -1, dtype=np.int64)
        for indices, part in gather_objects((own, ranked.numpy())):
            everything[:, indices] = part
        labels = np.array(self.val.labels, dtype=np.int64)
        names = image_names(self.val.paths)
        by_head = [Predictions(names, labels, one) for one in everything]
        return by_head[0], [{"top1": one.accuracy(1), "top5": one.accuracy(5)} for one in by_head]

    def _val_rows(self, own: list[int]) -> Iterator[Tensor]:
        """Features (n, 2048) of this rank's validation images, batch by batch."""
        batches = [own[start : start + VALIDATION_BATCH] for start in range(0, len(own), VALIDATION_BATCH)]
        if self.val_features is not None:
            for batch in batches:
                yield self.val_features[batch].to(self.world.device)
            return
        draws = [[(index, 0) for index in batch] for batch in batches]
        loaded = pixel_batches(self.val.paths, self.protocol.test_view, draws, self.job.run.workers)
        for pixels in track(loaded, f"{self.job.name}: validation", len(batches)):
            yield trunk_features(self.trunk, normalised(pixels, self.world.device), self.job.run.precision)

    def _frozen_features(self) -> Tensor:
        """A frozen trunk sees the same validation views each epoch: their features are computed once, and cached."""
        job = self.job
        key = FeatureKey(
            job.weights.sha256,
            self.protocol.test_view,
            job.run.precision,
            job.dataset.fingerprint,
            "val",
            job.subset,
        )
        store: FeatureStore = cached_features(
            key, self.val.paths, self.trunk, root=job.run.output, world=self.world, workers=job.run.workers
        )
        return store.all_rows()

    def _new_optimizer(self) -> torch.optim.SGD:
        groups: list[dict[str, Any]] = [
            {"params": list(head.parameters()), "peak_lr": rate}
            for head, rate in zip(self.heads.heads, self.protocol.head_learning_rates, strict=True)
        ]
        if self.protocol.fine_tunes:
            groups.append({"params": list(self.trunk.parameters()), "peak_lr": self.protocol.trunk_learning_rate})
        momentum, decay = self.protocol.momentum, self.protocol.weight_decay
        return torch.optim.SGD(groups, lr=0.0, momentum=momentum, weight_decay=decay)

    @property
    def _trained_trunk(self) -> nn.Module | None:
        return self.trunk if self.protocol.fine_tunes else None

    def _share_statistics(self) -> None:
        if self.protocol.fine_tunes and self.world.size > 1:
            buffers = dict(self.trunk.named_buffers())
            shared = broadcast_object({name: buffer.cpu() for name, buffer in buffers.items()})
            for name, buffer in buffers.items():
                buffer.copy_(shared[name])

    def _save_if_due(self, last: bool = False) -> None:
        if self.world.is_first and (last or time.monotonic() - self.saved >= self.job.run.save_every_seconds):
            save_state(self.job.folder, self.position, self.heads, self.optimizer, self._trained_trunk)
            self.saved = time.monotonic()

    def _log_step(self, losses: Tensor, images: int, seconds: float) -> None:
        if self.journal:
            self.journal.write(
                self.position.step,
                epoch=self.position.step / self.plan.steps_per_epoch,
                loss=float(losses[0]),
                lr=self.optimizer.param_groups[0]["lr"],
                images_per_second=round(images / max(seconds, 1e-9), 1),
            )
        self._refuse_if_diverged(losses)

    def _refuse_if_diverged(self, *also: Tensor) -> None:
        """The cell's head has no accuracy once a weight or its loss is lost; every rank sees the same ones, and stops.

        Raises:
            Refusal: naming the step and the rates.
        """
        values = [*self.heads.heads[0].parameters(), *(losses[:1] for losses in also)]
        if not all(bool(value.isfinite().all()) for value in values):
            rates = f"protocol.head_learning_rates {self.protocol.head_learning_rates[0]:g}"
            rates += f" and trunk_learning_rate {self.protocol.trunk_learning_rate:g}" * self.protocol.fine_tunes
            raise Refusal(
                f"{self.job.name}: diverged by step {self.position.step} (a loss or weight is no longer finite) with "
                f"{rates}; nothing is recorded; lower the rate, or look at the checkpoint"
            )


class _Lazy:
    """This rank's draws as an iterable that a loader may start once, so that no epoch's list is built ahead."""

    def __init__(self, plan: Plan, step: int, rank: int) -> None:
        self.plan, self.step, self.rank = plan, step, rank

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        return self.plan.draws_from(self.step, self.rank)
