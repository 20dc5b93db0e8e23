"""The user's folders as Detectron2 sees them: every image once, boxes as annotated, nothing left behind."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from results.refusal import Refusal
from transfer.engines.detectron2_data import CocoSplit, Splits, VocSplit, find_splits, image_count, load_voc, registered

pytestmark = pytest.mark.engine
ROOTS = {"voc0712": "VOCdevkit", "coco": "coco"}


def splits_of(dataset: str, digits_root: Path, work: Path, limit: int = 0, seed: int = 0) -> Splits:
    return find_splits(dataset, digits_root / ROOTS[dataset], limit=limit, seed=seed, work=work)


def test_voc_trains_on_both_years_and_is_tested_on_2007(digits_root: Path, tmp_path: Path) -> None:
    splits = splits_of("voc0712", digits_root, tmp_path)
    root = digits_root / "VOCdevkit"
    assert splits.train == (
        VocSplit(root / "VOC2007", 2007, "trainval"),
        VocSplit(root / "VOC2012", 2012, "trainval"),
    )
    assert splits.test == (VocSplit(root / "VOC2007", 2007, "test"),)
    # 2007 is the year that makes Detectron2's evaluator use 11 points.
    assert [image_count(split) for split in (*splits.train, *splits.test)] == [100, 60, 60]


@pytest.mark.parametrize("dataset", ["voc0712", "coco"])
def test_detectron2s_catalogs_are_afterwards_as_they_were(dataset: str, digits_root: Path, tmp_path: Path) -> None:
    from detectron2.data import DatasetCatalog, MetadataCatalog

    before = (set(DatasetCatalog.list()), set(MetadataCatalog.list()))
    built_in = {name: MetadataCatalog.get(name).as_dict() for name in ("voc_2007_test", "coco_2017_val")}
    with (
        pytest.raises(RuntimeError, match="inside"),
        registered(splits_of(dataset, digits_root, tmp_path)) as (train, test),
    ):
        assert set(train + test) == set(DatasetCatalog.list()) - before[0]
        assert all(DatasetCatalog.get(name) for name in train + test)
        raise RuntimeError("inside")
    assert (set(DatasetCatalog.list()), set(MetadataCatalog.list())) == before
    assert {name: MetadataCatalog.get(name).as_dict() for name in built_in} == built_in


def test_voc_boxes_are_those_of_the_xml_with_difficult_ones_counted_from_0(digits_root: Path, tmp_path: Path) -> None:
    from detectron2.data import DatasetCatalog, MetadataCatalog

    with registered(splits_of("voc0712", digits_root, tmp_path)) as (train, _):
        items = DatasetCatalog.get(train[0])
        classes = MetadataCatalog.get(train[0]).thing_classes
    assert len(items) == 100
    item = items[3]
    tree = ET.parse(digits_root / "VOCdevkit" / "VOC2007" / "Annotations" / f"{item['image_id']}.xml")
    expected = []
    for element in tree.findall("object"):
        # VOC counts pixels from 1 and includes the last; Detectron2's boxes are edges from 0.
        sides = {side: float(element.findtext(f"bndbox/{side}") or "nan") for side in ("xmin", "ymin", "xmax", "ymax")}
        box = [sides["xmin"] - 1, sides["ymin"] - 1, sides["xmax"], sides["ymax"]]
        expected.append((element.findtext("name"), box))
    found = [(classes[one["category_id"]], one["bbox"]) for one in item["annotations"]]
    assert found == expected
    assert len(classes) == 20
    assert list(classes) == sorted(classes)


def test_voc_is_loaded_as_detectron2s_own_loader_does(digits_root: Path) -> None:
    from detectron2.data.datasets.pascal_voc import CLASS_NAMES, load_voc_instances

    for year, split in ((2007, "test"), (2012, "trainval")):
        folder = digits_root / "VOCdevkit" / f"VOC{year}"
        assert load_voc(VocSplit(folder, year, split)) == load_voc_instances(str(folder), split, CLASS_NAMES)


def test_an_unknown_voc_class_is_refused_naming_the_file(copy_digits: Callable[..., Path]) -> None:
    folder = copy_digits("VOCdevkit") / "VOCdevkit" / "VOC2007"
    path = sorted((folder / "Annotations").iterdir())[0]
    path.write_text(path.read_text().replace("<name>", "<name>un", 1))
    with pytest.raises(Refusal, match=f"{path.name}.*not one of VOC's 20 classes"):
        load_voc(VocSplit(folder, 2007, "trainval"))


def test_with_a_limit_too(copy_digits: Callable[..., Path], tmp_path: Path) -> None:
    root = copy_digits("VOCdevkit")
    for path in (root / "VOCdevkit" / "VOC2007" / "Annotations").iterdir():
        path.write_text(path.read_text().replace("<name>", "<name>un"))
    with pytest.raises(Refusal, match=r"xml: 'un.*not one of VOC's 20 classes"):
        splits_of("voc0712", root, tmp_path, limit=30)


def test_data_that_moved_since_the_interruption_is_found_where_it_is_now(digits_root: Path, tmp_path: Path) -> None:
    stale = tmp_path / "VOC2007" / "Annotations"
    stale.parent.mkdir()
    stale.symlink_to(tmp_path / "gone")
    split = splits_of("voc0712", digits_root, tmp_path, limit=30).test[0]
    assert isinstance(split, VocSplit) and load_voc(split)
    assert stale.resolve() == (digits_root / "VOCdevkit" / "VOC2007" / "Annotations").resolve()


def test_coco_keeps_the_published_category_order_and_drops_no_image_itself(digits_root: Path, tmp_path: Path) -> None:
    from detectron2.data import DatasetCatalog, MetadataCatalog

    with registered(splits_of("coco", digits_root, tmp_path)) as (train, test):
        counts = [len(DatasetCatalog.get(name)) for name in train + test]
        metadata = MetadataCatalog.get(test[0])
    assert counts == [120, 50]
    assert len(metadata.thing_classes) == 80
    # The published ids leave gaps: 80 classes reach up to id 90.
    assert (metadata.thing_dataset_id_to_contiguous_id[1], metadata.thing_dataset_id_to_contiguous_id[90]) == (0, 79)


@pytest.mark.parametrize("dataset", ["voc0712", "coco"])
def test_a_limit_takes_about_that_many_images_and_leaves_the_users_folder_alone(
    dataset: str, digits_root: Path, tmp_path: Path
) -> None:
    from detectron2.data import DatasetCatalog

    splits = splits_of(dataset, digits_root, tmp_path, limit=30)
    train, test = sum(map(image_count, splits.train)), sum(map(image_count, splits.test))
    assert 15 <= train <= 35
    assert 15 <= test <= 35
    with registered(splits) as (names, test_names):
        found = [item for name in names + test_names for item in DatasetCatalog.get(name)]
    assert len(found) == train + test
    assert all(Path(item["file_name"]).is_file() for item in found)
    for split in (*splits.train, *splits.test):
        assert tmp_path in (split.folder if isinstance(split, VocSplit) else split.annotations).parents


def test_a_limit_gives_the_same_images_again_and_others_for_another_seed(digits_root: Path, tmp_path: Path) -> None:
    chosen = []
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        split = splits_of("coco", digits_root, tmp_path / folder, limit=20, seed=seed).test[0]
        assert isinstance(split, CocoSplit)
        content = json.loads(split.annotations.read_text())
        ids = [image["id"] for image in content["images"]]
        assert {item["image_id"] for item in content["annotations"]} <= set(ids)
        chosen.append(ids)
    assert chosen[0] == chosen[1] != chosen[2]


@pytest.mark.parametrize(
    ("dataset", "missing"),
    [
        ("voc0712", "VOC2012"),
        ("voc0712", "VOC2007/ImageSets/Main/test.txt"),
        ("coco", "annotations/instances_val2017.json"),
        ("coco", "train2017"),
    ],
)
def test_a_missing_part_is_refused_by_name(
    dataset: str, missing: str, copy_digits: Callable[..., Path], tmp_path: Path
) -> None:
    root = copy_digits(ROOTS[dataset]) / ROOTS[dataset]
    (root / missing).rename(root / f"{missing}.away")
    with pytest.raises(Refusal, match=missing.rsplit("/", 1)[-1]):
        find_splits(dataset, root, work=tmp_path)
