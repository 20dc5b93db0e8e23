"""A picture for a person to look at: the first images of the test set with what the detector found in them."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from data.decode import open_image
from results import atomic

TILE = 320
COLUMNS = 3
CAPTION = 16
CONFIDENT = 0.5
WEAKEST_SHOWN = 3
STRONGEST_SHOWN = 12
COLOURS = ((230, 57, 70), (42, 157, 143), (255, 183, 3), (58, 134, 255), (251, 86, 7), (131, 56, 236), (6, 214, 160))


def save_picture(shown: list[tuple[str, Any]], class_names: list[str], path: Path) -> None:
    """Draw each (image file, Detectron2 `Instances`) as a tile of a grid and write the grid to `path` as PNG.

    Drawn are detections with a score of at least 0.5, at most twelve; where none is that sure, the best three, so that
    an empty tile means that the detector found nothing at all. Masks are laid over the image where there are any.
    """
    rows = max(1, -(-len(shown) // COLUMNS))
    grid = Image.new("RGB", (COLUMNS * TILE, rows * (TILE + CAPTION)), "white")
    for position, (file_name, instances) in enumerate(shown):
        corner = (position % COLUMNS * TILE, position // COLUMNS * (TILE + CAPTION))
        grid.paste(_tile(Path(file_name), instances, class_names), corner)
    with atomic.atomic_file(path) as file:
        grid.save(file, format="PNG")


def _tile(file: Path, instances: Any, class_names: list[str]) -> Image.Image:
    image = open_image(file)
    scale = TILE / max(image.size)
    order = _order(instances.scores.numpy())
    if instances.has("pred_masks"):
        for index in order:
            mask = instances.pred_masks[index].numpy()
            image = _with_mask(image, mask, COLOURS[int(instances.pred_classes[index]) % len(COLOURS)])
    tile = Image.new("RGB", (TILE, TILE + CAPTION), "white")
    tile.paste(image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale)))))
    draw, font = ImageDraw.Draw(tile), ImageFont.load_default()
    for index in reversed(order):  # the surest on top
        label = int(instances.pred_classes[index])
        x0, y0, x1, y1 = (float(value) * scale for value in instances.pred_boxes.tensor[index])
        colour = COLOURS[label % len(COLOURS)]
        draw.rectangle((x0, y0, max(x0, x1), max(y0, y1)), outline=colour, width=2)
        text = f"{class_names[label]} {float(instances.scores[index]):.2f}"
        place = (x0, y0 - 12 if y0 >= 12 else y0)
        draw.rectangle(draw.textbbox(place, text, font=font), fill=colour)
        draw.text(place, text, fill="white", font=font)
    draw.rectangle((0, TILE, TILE, TILE + CAPTION), fill="white")
    draw.text((2, TILE + 2), f"{file.stem}: {len(instances)} detections, {len(order)} drawn", fill="black", font=font)
    return tile


def _order(scores: NDArray[Any]) -> list[int]:
    """Positions of the detections to draw, surest first."""
    order = [int(index) for index in np.argsort(-scores, kind="stable")]
    confident = [index for index in order if scores[index] >= CONFIDENT][:STRONGEST_SHOWN]
    return confident or order[:WEAKEST_SHOWN]


def _with_mask(image: Image.Image, mask: NDArray[Any], colour: tuple[int, int, int]) -> Image.Image:
    """`image` with `colour` laid half-transparent over `mask` (height, width; bool)."""
    weight = Image.fromarray((mask.astype(np.uint8)) * 110)
    return Image.composite(Image.new("RGB", image.size, colour), image, weight)
