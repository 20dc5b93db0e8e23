"""The fast views against the reference, operation by operation, and the drawn parameters against the recipe."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import Tensor

from pretrain.recipes import RECIPES
from pretrain.settings import ViewRecipe
from pretrain.views import device, gaussian, host, normalise, parameters, processor, reference
from pretrain.views.parameters import BRIGHTNESS, CONTRAST, HUE, NEUTRAL, SATURATION, Colour, Crop

SIZE = 96


def pictures() -> list[Image.Image]:
    """Two photographs, pure noise, a gray ramp, and every 16th level of each channel."""
    random = np.random.default_rng(0)
    photographs = [Image.fromarray(image).resize((SIZE, SIZE)) for image in load_sample_images().images]
    noise = random.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    ramp = np.broadcast_to(np.linspace(0, 255, SIZE).astype(np.uint8)[:, None, None], (SIZE, SIZE, 3))
    levels = np.arange(0, 256, 16, dtype=np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(64, 64, 3)
    cube = np.pad(grid, ((0, SIZE - 64), (0, SIZE - 64), (0, 0)), mode="wrap")
    return photographs + [Image.fromarray(np.ascontiguousarray(array)) for array in (noise, ramp, cube)]


PICTURES = pictures()


def jittering(operation: int, **factor: float) -> Colour:
    """One operation first, the three others neutral (except that a hue turn of 0 still passes through HSV)."""
    order = (operation, *(op for op in (BRIGHTNESS, CONTRAST, SATURATION, HUE) if op != operation))
    return NEUTRAL._replace(jitter_order=order, **factor)


OPERATIONS: dict[str, Callable[[float], Colour]] = {
    "brightness": lambda u: jittering(BRIGHTNESS, brightness=0.6 + 0.8 * u),
    "contrast": lambda u: jittering(CONTRAST, contrast=0.6 + 0.8 * u),
    "saturation": lambda u: jittering(SATURATION, saturation=0.8 + 0.4 * u),
    "hue": lambda u: jittering(HUE, hue=-0.1 + 0.2 * u),
    "grayscale": lambda u: NEUTRAL._replace(grayscale=True),
    "solarize": lambda u: NEUTRAL._replace(solarize=True),
}


def in_a_batch(images: Tensor, colours: list[Colour]) -> Tensor:
    table = device.ColourBatch(np.array([parameters.as_row(colour) for colour in colours]))
    return device.recolour(images, table, blur_kernel=23)


def one_by_one(images: Tensor, colours: list[Colour]) -> Tensor:
    rows = [image.transpose(0, 1).contiguous() for image in images]
    done = [processor.recolour(x, colour, blur_kernel=23) for x, colour in zip(rows, colours, strict=True)]
    return torch.stack([x.expand(-1, 3, -1).transpose(0, 1) for x in done])


Implementation = Callable[[Tensor, list[Colour]], Tensor]
FAST: tuple[Implementation, ...] = (in_a_batch, one_by_one)


def both(fast: Implementation, colours: list[Colour], images: list[Image.Image]) -> tuple[Tensor, Tensor]:
    found = fast(torch.stack([reference.to_tensor(image) for image in images]).float(), colours)
    slow = [reference.to_tensor(reference.recolour(i, c)) for i, c in zip(images, colours, strict=True)]
    return found, torch.stack(slow).float()


@pytest.mark.parametrize("fast", FAST)
@pytest.mark.parametrize("name", OPERATIONS)
def test_each_colour_operation_is_pils_to_the_grey_level(name: str, fast: Implementation) -> None:
    # The promise is 2 grey levels; these six are exact, and a slip in the rounding should show.
    for u in (0.0, 0.27, 0.5, 0.81, 1.0):
        found, slow = both(fast, [OPERATIONS[name](u)] * len(PICTURES), PICTURES)
        assert torch.equal(found, slow), (name, u, float((found - slow).abs().max()))


def test_hue_is_pils_over_the_colour_cube() -> None:
    levels = np.arange(0, 256, 5, dtype=np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, np.arange(256, dtype=np.uint8), indexing="ij"), -1)
    image = Image.fromarray(np.ascontiguousarray(cube.reshape(-1, 256, 3)))
    for hue in (-0.1, 0.033, 0.5):
        fast, slow = both(in_a_batch, [jittering(HUE, hue=hue)], [image])
        assert torch.equal(fast, slow)


@pytest.mark.parametrize("fast", FAST)
@pytest.mark.parametrize("sigma", [0.1, 0.3, 0.5, 0.8, 1.2, 2.0])
def test_blur_is_pils_within_one_grey_level_on_average(sigma: float, fast: Implementation) -> None:
    photographs = PICTURES[:2]
    found, slow = both(fast, [NEUTRAL._replace(blur_sigma=sigma)] * 2, photographs)
    assert float((found - slow).abs().mean()) < 1


def test_blur_weights_have_the_asked_variance_and_sum_to_one() -> None:
    for sigma in (0.2, 0.7, 2.0):
        row = gaussian.blur_matrices(torch.tensor([sigma]), 64, 23)[0, 32]
        offsets = torch.arange(64) - 32
        assert float(row.sum()) == pytest.approx(1, abs=1e-6)
        assert float((row * offsets.square()).sum()) == pytest.approx(sigma**2, rel=1e-3)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_crop_resize_and_flip_are_pils_within_two_grey_levels(interpolation: str) -> None:
    image = Image.fromarray(load_sample_images().images[0])
    decoded = reference.to_tensor(image)
    for crop in (Crop(0, 0, 427, 640), Crop(31, 100, 200, 150), Crop(400, 600, 20, 33)):
        view = parameters.ViewParameters(crop, True, NEUTRAL)
        fast = host.crop_resize_flip(decoded, view, size=64, interpolation=interpolation)
        slow = reference.to_tensor(reference.apply(image, view, size=64, interpolation=interpolation))
        assert int((fast.int() - slow.int()).abs().max()) <= 2


@pytest.mark.parametrize("fast", FAST)
def test_a_whole_view_is_alike_in_both_and_no_sample_touches_another(fast: Implementation) -> None:
    recipe = ViewRecipe(size=48, blur_probability=0.0)
    random = np.random.default_rng(5)
    views = [parameters.draw(recipe, SIZE, SIZE, random) for _ in PICTURES]
    found, slow = both(fast, [view.colour for view in views], PICTURES)
    assert torch.equal(found, slow)


def test_normalised_views_have_imagenets_mean_at_zero() -> None:
    x = torch.tensor(normalise.MEAN).view(1, 3, 1, 1).expand(1, 3, 8, 8) * 255
    assert float(normalise.normalise(x).abs().max()) < 1e-5
    white = normalise.normalise(torch.full((1, 3, 2, 2), 255.0))[0, :, 0, 0]
    assert white.tolist() == pytest.approx(
        [(1 - m) / s for m, s in zip(normalise.MEAN, normalise.STD, strict=True)], rel=1e-5
    )


def draws(recipe: ViewRecipe, count: int) -> list[parameters.ViewParameters]:
    return [parameters.draw(recipe, 300, 400, parameters.generator(0, 0, index)) for index in range(count)]


@pytest.mark.parametrize("name", ["paper", "official"])
def test_applied_probabilities_and_ranges_are_the_recipes(name: str) -> None:
    count = 4000
    for recipe in (RECIPES[name].view_a, RECIPES[name].view_b):
        drawn = draws(recipe, count)
        expected = {
            "flip": (recipe.flip_probability, [view.flip for view in drawn]),
            "jitter": (recipe.jitter_probability, [bool(view.colour.jitter_order) for view in drawn]),
            "grayscale": (recipe.grayscale_probability, [view.colour.grayscale for view in drawn]),
            "blur": (recipe.blur_probability, [view.colour.blur_sigma > 0 for view in drawn]),
            "solarize": (recipe.solarize_probability, [view.colour.solarize for view in drawn]),
        }
        for operation, (probability, applied) in expected.items():
            allowed = 4.5 * (probability * (1 - probability) / count) ** 0.5
            assert abs(np.mean(applied) - probability) <= allowed, operation
        uniform_over([v.colour.brightness for v in drawn if v.colour.jitter_order], 0.6, 1.4)
        uniform_over([v.colour.contrast for v in drawn if v.colour.jitter_order], 0.6, 1.4)
        uniform_over([v.colour.saturation for v in drawn if v.colour.jitter_order], 0.8, 1.2)
        uniform_over([v.colour.hue for v in drawn if v.colour.jitter_order], -0.1, 0.1)
        uniform_over([v.colour.blur_sigma for v in drawn if v.colour.blur_sigma], 0.1, 2.0)


def uniform_over(values: list[float], low: float, high: float) -> None:
    """Kolmogorov and Smirnov's distance to the uniform distribution, at a level of about 1 in 10,000."""
    ordered = (np.sort(values) - low) / (high - low)
    assert ordered[0] >= 0 and ordered[-1] <= 1
    distance = np.abs(ordered - (np.arange(len(ordered)) + 0.5) / len(ordered)).max()
    assert distance < 2.2 / len(ordered) ** 0.5


def test_orders_of_the_jitter_are_equally_likely() -> None:
    orders = [view.colour.jitter_order for view in draws(ViewRecipe(jitter_probability=1.0), 4800)]
    counts = [orders.count(order) for order in set(orders)]
    assert len(counts) == 24 and min(counts) > 130 and max(counts) < 270  # 200 each, 5 standard deviations


def test_crops_have_torchvisions_distribution() -> None:
    from torchvision.transforms import RandomResizedCrop

    torch.manual_seed(0)
    blank = torch.zeros(3, 300, 400)
    recipe = ViewRecipe(crop_area_min=0.08)
    theirs = np.array([RandomResizedCrop.get_params(blank, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(3000)])
    ours = np.array([view.crop for view in draws(recipe, 3000)])
    for column in range(4):
        a, b = np.sort(theirs[:, column]), np.sort(ours[:, column])
        grid = np.union1d(a, b)
        gap = np.abs(np.searchsorted(a, grid, "right") - np.searchsorted(b, grid, "right")).max() / 3000
        assert gap < 2.2 * (2 / 3000) ** 0.5, column


@pytest.mark.parametrize(("height", "width"), [(1, 1), (10, 50_000), (3000, 2), (7, 9)])
def test_crops_of_odd_shapes_stay_inside(height: int, width: int) -> None:
    for index in range(200):
        crop = parameters.draw(ViewRecipe(), height, width, parameters.generator(1, 2, index)).crop
        assert crop.height >= 1 and crop.width >= 1
        assert 0 <= crop.top <= height - crop.height and 0 <= crop.left <= width - crop.width


def test_draws_depend_on_seed_epoch_and_image_alone() -> None:
    def drawn(*key: int) -> parameters.ViewParameters:
        return parameters.draw(ViewRecipe(), 300, 400, parameters.generator(*key))

    assert drawn(0, 1, 2) == drawn(0, 1, 2)
    assert len({drawn(0, 1, 2), drawn(1, 1, 2), drawn(0, 2, 2), drawn(0, 1, 3), drawn(0, 1, 0), drawn(0, 0, 1)}) == 6


def test_decoding_is_pils_for_jpeg_gray_cmyk_and_png(tmp_path: Path) -> None:
    photograph = Image.fromarray(load_sample_images().images[1]).resize((90, 70))
    for name, image in {
        "a.JPEG": photograph, "gray.JPEG": photograph.convert("L"), "cmyk.JPEG": photograph.convert("CMYK"),
        "b.png": photograph,
    }.items():  # fmt: skip
        image.save(tmp_path / name)
        expected = np.asarray(Image.open(tmp_path / name).convert("RGB")).astype(int)
        found = host.decode(tmp_path / name).permute(1, 2, 0).numpy().astype(int)
        assert np.abs(found - expected).max() <= 1, name


def test_a_broken_image_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.JPEG"
    broken.write_bytes(b"\xff\xd8\xff" + b"x" * 50)
    with pytest.raises(ValueError, match=r"broken\.JPEG"):
        host.decode(broken)
