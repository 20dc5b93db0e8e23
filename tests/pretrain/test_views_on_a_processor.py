"""What makes the views fast on a CPU leaves their numbers alone."""

from itertools import permutations

import numpy as np
import pytest
import torch
from PIL import Image

from pretrain.settings import ViewRecipe
from pretrain.views import colour_space, device, gaussian, normalise, parameters, processor, reference


def colours(count: int) -> list[parameters.Colour]:
    random = parameters.generator(0, 0, 0)
    return [parameters.draw(ViewRecipe(), 300, 400, random).colour for _ in range(count)]


def test_one_image_after_the_other_gives_what_the_batch_gives() -> None:
    images = torch.randint(0, 256, (9, 3, 96, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    table = np.array([parameters.as_row(colour) for colour in colours(9)])
    batch = device.ColourBatch(table)
    whole = normalise.normalise(device.recolour(images.float(), batch, blur_kernel=23))
    singly = device.augment(images, batch, blur_kernel=23)
    assert singly.is_contiguous(memory_format=torch.channels_last)
    one_level = 1 / (255 * min(normalise.STD))
    assert (singly - whole).abs().max() <= one_level * 1.01
    # A sum in another order, or without its smallest terms, may fall on the other side of a rounding, but hardly ever.
    assert ((singly - whole).abs() > one_level / 2).float().mean() < 1e-4


def test_a_row_of_the_table_becomes_the_colour_it_was_made_from() -> None:
    for colour in (parameters.NEUTRAL, *colours(40)):
        assert parameters.from_row(np.array(parameters.as_row(colour))) == colour


@pytest.mark.parametrize("sigma", [0.1, 0.4, 1.0, 2.0])
@pytest.mark.parametrize("size", [14, 75, 224])
def test_a_blur_in_strips_is_the_whole_matrix_product(sigma: float, size: int) -> None:
    x = 255 * torch.rand(size, 3, size, generator=torch.Generator().manual_seed(0))
    matrix = gaussian.blur_matrices(torch.tensor([sigma]), size, 23)[0].double()
    expected = torch.einsum("ij,jck,lk->icl", matrix, x.double(), matrix)
    found = processor.blur(x, sigma, 23)
    assert (found - expected).abs().max() <= 0.5 + 1e-3


def test_solarizing_turns_the_levels_from_128_on() -> None:
    levels = torch.arange(256.0).view(1, 1, 256)
    expected = torch.tensor([level if level < 128 else 255 - level for level in range(256)]).float()
    done = processor.recolour(levels, parameters.NEUTRAL._replace(solarize=True), blur_kernel=23)
    assert torch.equal(done.flatten(), expected)


def test_the_table_of_hues_is_pils_in_every_case_it_can_be_asked_for() -> None:
    high, middle = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8), indexing="ij")
    triple = (high, np.minimum(high, middle), np.zeros_like(high))
    for channels in permutations(triple):
        image = np.stack(channels, -1)
        expected = np.array(Image.fromarray(image).convert("HSV"))[..., 0]
        x = torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None]
        assert np.array_equal(colour_space._hue_value_chroma(x)[0][0].numpy(), expected)


@pytest.mark.parametrize("hue", [-0.5, -0.1, 0.0, 0.013, 0.1, 0.45])
def test_turned_hues_are_pils_for_a_quarter_of_a_million_colours(hue: float) -> None:
    levels = np.arange(0, 256, 4, dtype=np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(512, 512, 3)
    cube[:256, :, 0] |= 3  # not all multiples of four
    expected = reference.to_tensor(reference.shift_hue(Image.fromarray(cube), hue))
    x = torch.from_numpy(cube.astype(np.float32)).permute(2, 0, 1)[None]
    found = colour_space.turn_hue(x, reference.hue_levels(hue) % 256)
    assert torch.equal(found[0].to(torch.uint8), expected)
