"""The networks have the published files' names, sizes and outputs; torchvision is the independent judge."""

import pytest
import torch
import torchvision

from pretrain.expander import expander
from pretrain.resnet import resnet50, resnet50x2, resnet200x2


def parameter_count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_resnet50_is_torchvisions_without_fc() -> None:
    torch.manual_seed(0)
    theirs = torchvision.models.resnet50().eval()
    theirs.fc = torch.nn.Identity()
    ours = resnet50().eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(ours(images), theirs(images))


def test_parameter_counts_are_the_published_ones() -> None:
    with torch.device("meta"):
        assert parameter_count(resnet50()) == 23_508_032
        assert parameter_count(expander(2048, 8192)) == 151_044_096
        assert len(resnet50().state_dict()) == 318


def test_wide_networks_have_4096_features_and_twice_the_width_everywhere() -> None:
    with torch.device("meta"):
        wide, deep, plain = resnet50x2(), resnet200x2(), resnet50()
    assert wide.out_features == deep.out_features == 4096
    assert wide.state_dict().keys() == plain.state_dict().keys()
    for name, tensor in plain.state_dict().items():
        doubled = [2 * size if size != 3 or position != 1 else size for position, size in enumerate(tensor.shape[:2])]
        assert list(wide.state_dict()[name].shape[:2]) == doubled, name
    assert [len(stage) for stage in (deep.layer1, deep.layer2, deep.layer3, deep.layer4)] == [3, 24, 36, 3]


@pytest.mark.parametrize("zero", [True, False])
def test_zero_init_starts_each_residual_branch_at_zero(zero: bool) -> None:
    scales = [tensor for name, tensor in resnet50(zero_init_residual=zero).state_dict().items() if "bn3.weight" in name]
    assert len(scales) == 16
    assert all(bool((scale == (0 if zero else 1)).all()) for scale in scales)


def test_the_expander_has_the_released_layout() -> None:
    names = expander(16, 8).state_dict().keys()
    batch_norm = [
        f"{i}.{n}" for i in (1, 4) for n in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    ]
    assert set(names) == {"0.weight", "0.bias", "3.weight", "3.bias", "6.weight", *batch_norm}
