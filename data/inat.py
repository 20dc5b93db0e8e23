"""iNaturalist 2018 as published: one JSON file per split beside the folder of images."""

from dataclasses import dataclass
from pathlib import Path

from data import safe_json
from data.paths import below
from results.refusal import Refusal

SPLITS = ("train", "val")


@dataclass(frozen=True)
class InatSplit:
    """One split: image paths, their labels, and the category id that each label stands for.

    Labels are positions in the ascending list of category ids, so they run from 0 to 8,141 and mean the same in both
    splits; in the official files the label equals the category id.
    """

    paths: list[Path]
    labels: list[int]
    category_ids: list[int]


def json_path(root: Path, split: str) -> Path:
    """The file with the annotations of `split` ("train" or "val")."""
    return root / f"{split}2018.json"


def read_split(root: Path, split: str) -> InatSplit:
    """The images of one split in the order of the JSON file.

    Raises:
        Refusal: the file is missing or malformed, an image has no annotation or two, a category is unknown, or a file
            name leaves `root`. That the images exist is not checked here.
    """
    source = json_path(root, split)
    content = safe_json.read_object(source)
    categories = sorted(
        {safe_json.integer(item, "id", source) for item in safe_json.objects(content, "categories", source)}
    )
    label_of = {category: label for label, category in enumerate(categories)}
    category_of: dict[int, int] = {}
    for item in safe_json.objects(content, "annotations", source):
        image, category = safe_json.integer(item, "image_id", source), safe_json.integer(item, "category_id", source)
        if category not in label_of:
            raise Refusal(f"{source}: image {image} has category {category}, which is not among the file's categories")
        if image in category_of:
            raise Refusal(f"{source}: image {image} is annotated twice")
        category_of[image] = category
    paths, labels = [], []
    for item in safe_json.objects(content, "images", source):
        image = safe_json.integer(item, "id", source)
        if image not in category_of:
            raise Refusal(f"{source}: image {image} has no annotation (the test split has none and is not read)")
        paths.append(below(root, item.get("file_name"), source))
        labels.append(label_of[category_of[image]])
    return InatSplit(paths, labels, categories)
