"""COCO's categories and file names."""

import ast
import importlib.util
import json
from pathlib import Path

import pytest

from data import coco
from results.refusal import Refusal


def test_there_are_eighty_categories_with_the_published_gaps() -> None:
    # The ten ids that the 2017 release leaves out.
    gaps = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
    assert set(coco.CATEGORIES) == set(range(1, 91)) - gaps
    assert len(set(coco.CATEGORIES.values())) == 80
    assert (coco.CATEGORIES[1], coco.CATEGORIES[10], coco.CATEGORIES[90]) == ("person", "traffic light", "toothbrush")


@pytest.mark.engine
def test_detectron2_has_the_same_categories() -> None:
    spec = importlib.util.find_spec("detectron2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("detectron2 is not installed")
    # Read, not imported: the import takes seconds and only a literal is wanted.
    source = Path(spec.submodule_search_locations[0]) / "data" / "datasets" / "builtin_meta.py"
    for node in ast.parse(source.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "COCO_CATEGORIES":
            theirs = ast.literal_eval(node.value)
            break
    assert {item["id"]: item["name"] for item in theirs if item["isthing"]} == coco.CATEGORIES


def test_images_are_those_the_instances_file_names(digits_root: Path) -> None:
    paths = coco.image_paths(digits_root / "coco", "val")
    assert sorted(paths) == sorted((digits_root / "coco" / "val2017").iterdir())


def test_a_file_name_outside_the_split_is_refused(tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    content = {"images": [{"id": 1, "file_name": "../train2017/1.jpg"}]}
    coco.json_path(tmp_path, "val").write_text(json.dumps(content))
    with pytest.raises(Refusal, match=r"instances_val2017\.json: the file name .* leaves"):
        coco.image_paths(tmp_path, "val")
