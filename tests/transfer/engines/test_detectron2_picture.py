"""The picture shows what was found, where it was found, and shows nothing where nothing was."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from transfer.engines.detectron2_picture import CAPTION, COLOURS, TILE, save_picture

pytestmark = pytest.mark.engine
SIZE = 160  # half a tile, so that pixels are shown twice as large


def instances(boxes: list[list[float]], scores: list[float], classes: list[int], masks: bool = False) -> Any:
    from detectron2.structures import Boxes, Instances

    found = Instances((SIZE, SIZE))
    found.pred_boxes = Boxes(torch.tensor(boxes).reshape(-1, 4))
    found.scores = torch.tensor(scores)
    found.pred_classes = torch.tensor(classes, dtype=torch.int64)
    if masks:
        found.pred_masks = torch.zeros(len(boxes), SIZE, SIZE, dtype=torch.bool)
        for index, (x0, y0, x1, y1) in enumerate(boxes):
            found.pred_masks[index, int(y0) : int(y1), int(x0) : int(x1)] = True
    return found


def drawn(tmp_path: Path, shown: list[Any]) -> np.ndarray[Any, Any]:
    image = tmp_path / "000123.png"
    Image.new("RGB", (SIZE, SIZE), (90, 90, 90)).save(image)
    save_picture([(str(image), one) for one in shown], ["cat", "dog"], tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB"))


def test_a_box_is_drawn_at_its_place_in_its_classs_colour(tmp_path: Path) -> None:
    picture = drawn(tmp_path, [instances([[20, 40, 100, 120]], [0.9], [1])])
    assert picture.shape == (TILE + CAPTION, 3 * TILE, 3)
    for x, y in ((40, 160), (200, 160), (120, 240)):  # left, right and lower edge, doubled
        assert tuple(picture[y, x]) == COLOURS[1]
    assert tuple(picture[160, 120]) == (90, 90, 90)


def test_only_sure_detections_are_drawn_or_else_the_best_three(tmp_path: Path) -> None:
    many = [[10 + 20 * i, 100, 25 + 20 * i, 140] for i in range(5)]
    edges = [(2 * (10 + 20 * i), 240) for i in range(5)]
    sure = drawn(tmp_path, [instances(many, [0.9, 0.4, 0.6, 0.1, 0.2], [0] * 5)])
    assert [tuple(sure[y, x]) == COLOURS[0] for x, y in edges] == [True, False, True, False, False]
    unsure = drawn(tmp_path, [instances(many, [0.1, 0.4, 0.3, 0.05, 0.2], [0] * 5)])
    assert [tuple(unsure[y, x]) == COLOURS[0] for x, y in edges] == [False, True, True, False, True]


def test_an_image_without_detections_stays_as_it_is(tmp_path: Path) -> None:
    picture = drawn(tmp_path, [instances([], [], [])])
    assert (picture[:TILE, :TILE] == 90).all()


def test_masks_are_laid_over_the_image(tmp_path: Path) -> None:
    picture = drawn(tmp_path, [instances([[40, 40, 120, 120]], [0.9], [0], masks=True)])
    inside, outside = picture[160, 160].astype(int), picture[300, 300].astype(int)
    assert tuple(outside) == (90, 90, 90)
    # Colour 0 is a red: its red rises and its green falls, half way.
    assert inside[0] > 120
    assert inside[1] < 85


def test_nine_images_make_three_rows_and_none_makes_an_empty_picture(tmp_path: Path) -> None:
    assert drawn(tmp_path, [instances([], [], [])] * 9).shape[0] == 3 * (TILE + CAPTION)
    assert drawn(tmp_path, []).shape[0] == TILE + CAPTION
