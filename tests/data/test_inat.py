"""iNaturalist's JSON files: labels, and every way they can be broken."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data import inat
from data.listing import list_images
from results.refusal import Refusal


def content(**changes: Any) -> dict[str, Any]:
    """Three images of the categories 7, 3 and 7; category ids leave gaps."""
    return {
        "images": [{"id": number, "file_name": f"train_val2018/Aves/{number}.jpg"} for number in (10, 11, 12)],
        "annotations": [{"image_id": 11, "category_id": 3}, {"image_id": 10, "category_id": 7},
                        {"image_id": 12, "category_id": 7}],
        "categories": [{"id": 7}, {"id": 3}],
        **changes,
    }  # fmt: skip


def written(root: Path, train: object, val: object | None = None) -> Path:
    (root / "train2018.json").write_text(json.dumps(train))
    (root / "val2018.json").write_text(json.dumps(train if val is None else val))
    return root


def test_labels_are_positions_among_the_ascending_category_ids(tmp_path: Path) -> None:
    found = inat.read_split(written(tmp_path, content()), "train")
    assert found.category_ids == [3, 7]
    assert found.labels == [1, 0, 1]
    assert found.paths[0] == tmp_path / "train_val2018" / "Aves" / "10.jpg"


BROKEN = {
    "is annotated twice": {"annotations": [{"image_id": 10, "category_id": 3}] * 2},
    "has no annotation": {"annotations": []},
    "has category 99, which is not among": {"annotations": [{"image_id": 10, "category_id": 99}]},
    "leaves the data set's folder": {"images": [{"id": 10, "file_name": "../../etc/passwd"}]},
    "'images' is not a list of objects": {"images": 5},
    "'id' is None": {"categories": [{"name": "x"}]},
    "is not a file name": {"images": [{"id": 10}]},
}


@pytest.mark.parametrize(("message", "changes"), BROKEN.items(), ids=BROKEN.keys())
def test_a_broken_file_is_refused(tmp_path: Path, message: str, changes: dict[str, Any]) -> None:
    with pytest.raises(Refusal, match=rf"train2018\.json.*{message}"):
        inat.read_split(written(tmp_path, content(**changes)), "train")


def test_a_category_without_images_is_refused_before_anything_trains(tmp_path: Path) -> None:
    written(tmp_path, content(categories=[{"id": 7}, {"id": 3}, {"id": 5}]))
    with pytest.raises(Refusal, match="category 5 has no images"):
        list_images(tmp_path, "inat18", "train")


def test_splits_with_different_categories_are_refused(tmp_path: Path) -> None:
    written(tmp_path, content(), content(categories=[{"id": 7}, {"id": 3}, {"id": 8}]))
    with pytest.raises(Refusal, match="have different categories"):
        list_images(tmp_path, "inat18", "train")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 20) | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "image_id", "category_id", "file_name"]), children, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.fixed_dictionaries(dict.fromkeys(("images", "annotations", "categories"), json_values)))
def test_any_json_gives_a_split_below_the_root_or_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, anything: dict[str, Any]
) -> None:
    root = tmp_path_factory.getbasetemp()
    written(root, anything)
    try:
        found = inat.read_split(root, "train")
    except Refusal as refusal:
        assert "train2018.json" in str(refusal)
        return
    assert all(root in path.parents for path in found.paths)
