"""Stickers: outline, mask and box fit each other."""

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from data.digits import scenes, source

# pycocotools' compiled code has not followed NumPy's new protocol for copies.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def digits() -> source.Digits:
    return source.load(seed=0)


@pytest.mark.parametrize("light", [True, False])
def test_the_mask_fills_its_polygon_as_cocos_own_code_draws_it(digits: source.Digits, light: bool) -> None:
    for index in range(30):
        sticker = scenes.make_sticker(digits.ink[index], 40, 36, light=light)
        height, width = sticker.mask.shape
        rle = coco_mask.merge(
            coco_mask.frPyObjects([[float(value) for value in sticker.polygon.ravel()]], height, width)
        )
        drawn = coco_mask.decode(rle).astype(bool)
        union = (drawn | sticker.mask).sum()
        assert (drawn & sticker.mask).sum() / union > 0.95


def test_the_mask_touches_all_four_sides_of_its_box(digits: source.Digits) -> None:
    for index in range(30):
        mask = scenes.make_sticker(digits.ink[index], 44, 32, light=False).mask
        assert mask[0].any()
        assert mask[-1].any()
        assert mask[:, 0].any()
        assert mask[:, -1].any()


def test_the_margin_is_three_pixels_on_every_side(digits: source.Digits) -> None:
    for index in range(30):
        gray = scenes.make_sticker(digits.ink[index], 44, 32, light=False).gray
        # Pen at 90 of 255 on a scale from 25 to 235.
        rows, columns = np.nonzero(gray > round(25 + 210 * 90 / 255))
        height, width = gray.shape
        assert (rows.min(), columns.min(), height - 1 - rows.max(), width - 1 - columns.max()) == (3, 3, 3, 3)


def test_all_ink_lies_on_the_sticker(digits: source.Digits) -> None:
    for index in range(30):
        sticker = scenes.make_sticker(digits.ink[index], 40, 40, light=False)
        assert sticker.gray[~sticker.mask].max(initial=0) < 120
        assert sticker.gray[sticker.mask].max() > 180


def test_every_kind_is_dealt_equally_often_with_a_digit_of_its_class(digits: source.Digits) -> None:
    dealt = scenes.deal(digits, "val", 20, np.random.default_rng(0))
    drawn = [next(dealt) for _ in range(60)]
    assert sorted(kind for kind, _ in drawn) == sorted(list(range(20)) * 3)
    assert all(digits.labels[index] == kind % 10 and index in set(digits.val) for kind, index in drawn)


def test_training_and_test_backgrounds_come_from_different_parts_of_a_photograph() -> None:
    # A photograph whose columns tell where they come from.
    ramp = np.repeat((np.arange(640) * 255 // 639).astype(np.uint8)[None, :, None], 427, axis=0).repeat(3, axis=2)
    random = np.random.default_rng(0)
    highest = max(np.asarray(scenes.background(Image.fromarray(ramp), "train", random)).max() for _ in range(40))
    lowest = min(np.asarray(scenes.background(Image.fromarray(ramp), "val", random)).min() for _ in range(40))
    assert highest <= lowest + 1


def test_stickers_do_not_overlap_and_a_full_area_gets_none(digits: source.Digits) -> None:
    random = np.random.default_rng(0)
    taken: list[scenes.Placed] = []
    for _ in range(60):
        placed = scenes.place(digits, (3, digits.val[0]), taken, (0, 0, 120, 120), random)
        if placed is not None:
            taken.append(placed)
    covered = np.zeros((120, 120), dtype=int)
    for item in taken:
        x0, y0, x1, y1 = item.box
        covered[y0:y1, x0:x1] += 1
    assert covered.max() == 1
    assert 2 <= len(taken) < 60


def test_a_pasted_sticker_changes_only_its_mask(digits: source.Digits) -> None:
    sticker = scenes.make_sticker(digits.ink[5], 40, 40, light=True)
    plain, faint = (
        np.asarray(scenes.paste(Image.new("RGB", (80, 80), (0, 200, 0)), [scenes.Placed(5, 10, 20, sticker, faint)]))
        for faint in (False, True)
    )
    height, width = sticker.mask.shape
    region = np.zeros((80, 80), dtype=bool)
    region[20 : 20 + height, 10 : 10 + width] = sticker.mask
    assert (plain[~region] == (0, 200, 0)).all()
    assert (plain[region] == sticker.gray[sticker.mask][:, None]).all()
    # Faint ones keep 60 % of what lies below.
    assert np.abs(faint[region][:, 0] - 0.4 * sticker.gray[sticker.mask]).max() <= 0.5
