"""20-NN accuracy of the representations during pretraining: a monitor, never a signal to the training.

The protocol is Table 5's in small: cosine similarity, votes weighted by exp(similarity / 0.07). Images are resized to
8/7 of the training crop and centre-cropped. On large data sets a stratified part of the training images is the bank.
"""

import sys
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from data.decode import ImageError, cut_endless, open_image
from data.listing import ImageList, list_images
from pretrain.preflight import DATASET
from pretrain.views.normalise import normalise
from pretrain.views.reference import to_tensor
from results.refusal import own_words

NEIGHBOURS = 20
TEMPERATURE = 0.07
BANK_LIMIT = 50_000
QUERY_LIMIT = 10_000


class Centred(Dataset[Tensor]):
    """Images resized and centre-cropped to `size`: uint8 (3, size, size)."""

    def __init__(self, paths: list[Path], size: int) -> None:
        self.paths, self.size = paths, size

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        image = cut_endless(open_image(self.paths[index]))
        scale = self.size * 8 / 7 / min(image.size)
        width, height = (max(self.size, round(side * scale)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
        left, top = (width - self.size) // 2, (height - self.size) // 2
        return to_tensor(image.crop((left, top, left + self.size, top + self.size)))


def measure(backbone: nn.Module, root: Path, *, size: int, device: torch.device, workers: int) -> float:
    """Top-1 accuracy in percent of `backbone` (put back into training mode afterwards) on the validation images."""
    bank = list_images(root, DATASET, "train", limit=BANK_LIMIT)
    queries = list_images(root, DATASET, "val", limit=QUERY_LIMIT)
    training = backbone.training
    backbone.eval()
    try:
        known = _features(backbone, bank, size, device, workers)
        asked = _features(backbone, queries, size, device, workers)
    finally:
        backbone.train(training)
    votes = classify(known, torch.tensor(bank.labels, device=device), asked, len(bank.classes))
    return 100 * float((votes == torch.tensor(queries.labels, device=device)).float().mean())


def monitored(backbone: nn.Module, root: Path, *, size: int, device: torch.device, workers: int) -> dict[str, float]:
    """`measure` for the log; nothing but a warning where an image cannot be read, for a monitor must not end a run."""
    try:
        return {"knn_20": round(measure(backbone, root, size=size, device=device, workers=workers), 3)}
    except ImageError as error:
        print(f"warning: 20-NN accuracy is left out: {own_words(error)}", file=sys.stderr)
        return {}


def classify(bank: Tensor, labels: Tensor, queries: Tensor, classes: int) -> Tensor:
    """The class of each query (q,), voted by its nearest rows of `bank` (n, d) under cosine similarity."""
    # Called inside the network's autocast, which would round the similarities.
    with torch.autocast(bank.device.type, enabled=False):
        bank = F.normalize(bank, dim=1)
        found = []
        for part in F.normalize(queries, dim=1).split(1024):  # type: ignore[no-untyped-call]
            similarity, nearest = (part @ bank.T).topk(min(NEIGHBOURS, len(bank)), dim=1)  # (q, k)
            votes = torch.zeros(len(part), classes, device=bank.device)
            votes.scatter_add_(1, labels[nearest], (similarity / TEMPERATURE).exp())
            found.append(votes.argmax(1))
    return torch.cat(found)


@torch.no_grad()
def _features(backbone: nn.Module, images: ImageList, size: int, device: torch.device, workers: int) -> Tensor:
    loader = DataLoader(
        Centred(images.paths, size), batch_size=128, num_workers=workers, generator=torch.Generator().manual_seed(0)
    )
    return torch.cat([backbone(normalise(batch.to(device).float())).float() for batch in loader])  # (n, 2048)
