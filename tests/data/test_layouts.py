"""The published counts, typed a second time from the publishers' own words."""

import pytest

from data.layouts import LAYOUTS, layout_of
from results.refusal import Refusal

PUBLISHED = [
    ("imagenet", 1281167, 50000, 1000),
    # SimCLR's lists: 189 classes with 12 images and 811 with 13; 884 with 128 and 116 with 129.
    ("imagenet_1pct", 189 * 12 + 811 * 13, 50000, 1000),
    ("imagenet_10pct", 884 * 128 + 116 * 129, 50000, 1000),
    ("places205", 2448873, 205 * 100, 205),
    # inat_comp's table by super-category, which gives three validation images to each category.
    (
        "inat18",
        118800 + 87192 + 143950 + 7835 + 6864 + 22754 + 8007 + 20104 + 5966 + 11156 + 4037 + 621 + 211 + 16,
        8142 * 3,
        2917 + 2031 + 1258 + 369 + 321 + 284 + 262 + 234 + 178 + 144 + 114 + 25 + 4 + 1,
    ),
    ("voc07", 5011, 4952, 20),
    ("voc0712", 5011 + 11540, 4952, 20),
    ("coco", 118287, 5000, 80),
]


@pytest.mark.parametrize(("name", "train", "val", "classes"), PUBLISHED)
def test_each_layout_has_the_published_counts(name: str, train: int, val: int, classes: int) -> None:
    layout = LAYOUTS[name]
    assert (layout.name, dict(layout.splits), layout.class_count) == (name, {"train": train, "val": val}, classes)
    assert layout.source
    assert layout.tree


def test_no_layout_is_without_a_published_count() -> None:
    assert set(LAYOUTS) == {row[0] for row in PUBLISHED}


def test_an_unknown_data_set_is_refused_with_the_known_names() -> None:
    with pytest.raises(Refusal, match=r"unknown data set 'cifar'; known: imagenet, .*coco"):
        layout_of("cifar")
