"""What makes the device half of the views fast on a CPU leaves its numbers alone."""

import numpy as np
import pytest
import torch
from PIL import Image

from pretrain.settings import ViewRecipe
from pretrain.views import colour_space, device, parameters, reference


def table(count: int) -> np.ndarray:
    random = parameters.generator(0, 0, 0)
    drawn = (parameters.draw(ViewRecipe(), 300, 400, random).colour for _ in range(count))
    return np.array([parameters.as_row(colour) for colour in drawn])


def test_a_few_images_at_a_time_give_what_the_whole_batch_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.randint(0, 256, (9, 3, 96, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    colours = device.ColourBatch(table(9))
    monkeypatch.setattr(device, "CACHED_PIXELS", 10**9)
    whole = device.augment(images, colours, blur_kernel=23)
    monkeypatch.setattr(device, "CACHED_PIXELS", 2 * 96**2)
    parts = device.augment(images, colours, blur_kernel=23)
    assert parts.is_contiguous(memory_format=torch.channels_last)
    one_level = 1 / (255 * min(device.STD))
    assert (parts - whole).abs().max() <= one_level * 1.01
    # A sum in another order may fall on the other side of a rounding, but hardly ever.
    assert (parts != whole).float().mean() < 1e-4


def test_a_blur_by_strips_is_the_whole_matrix_product() -> None:
    random = torch.Generator().manual_seed(0)
    x = 255 * torch.rand(2, 3, 75, 75, generator=random)
    matrices = device.blur_matrices(torch.tensor([0.4, 2.0]), 75, 23)[:, None]
    torch.testing.assert_close(device._banded(matrices, x, 11), matrices @ x, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("hue", [-0.1, 0.0, 0.013, 0.1])
def test_hues_from_tables_are_pils_for_a_quarter_of_a_million_colours(hue: float) -> None:
    levels = np.arange(0, 256, 4, dtype=np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(512, 512, 3)
    colours[:256, :, 0] |= 3  # not all multiples of four
    expected = reference.to_tensor(reference.shift_hue(Image.fromarray(colours), hue))
    x = torch.from_numpy(colours.astype(np.float32)).permute(2, 0, 1)[None]
    shift = torch.tensor(reference.hue_levels(hue), dtype=torch.float64).view(1, 1, 1)
    assert torch.equal(colour_space.turn_hue(x, shift)[0].to(torch.uint8), expected)
