"""What each data set must hold when it is whole: exact published counts, with their sources."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from results.refusal import Refusal


@dataclass(frozen=True)
class Layout:
    """One data set as its publishers describe it.

    `splits` are images by split; "val" is the split that is measured on (VOC: the 2007 test set). `class_count` counts
    classes that can be predicted. `tree` shows the folders expected below the root. `list_sha256` is the digest of the
    published label list, for the two semi-supervised subsets of ImageNet. `lists` names that list's file.
    """

    name: str
    title: str
    splits: Mapping[str, int]
    class_count: int
    tree: str
    source: str
    list_file: str = ""
    list_sha256: str = ""
    splits_by_year: Mapping[str, int] = field(default_factory=dict)


_IMAGENET_TREE = "train/<class>/*.JPEG, val/<class>/*.JPEG (validation images sorted into class folders)"
_SIMCLR = "google-research/simclr, imagenet_subsets/"

_ALL = (
    Layout(
        name="imagenet",
        title="ImageNet (ILSVRC-2012)",
        splits={"train": 1_281_167, "val": 50_000},
        class_count=1000,
        tree=_IMAGENET_TREE,
        source="Russakovsky et al. 2015, arXiv 1409.0575, table 2",
    ),
    Layout(
        name="imagenet_1pct",
        title="ImageNet, SimCLR's 1 % of the training labels",
        splits={"train": 12_811, "val": 50_000},
        class_count=1000,
        tree=f"{_IMAGENET_TREE}, 1percent.txt",
        source=f"{_SIMCLR}1percent.txt: 189 classes with 12 images, 811 with 13",
        list_file="1percent.txt",
        list_sha256="71e82a48ba78252683ae334c4d019ebd5c6e855b9599c1389fbe83eb9549cf17",
    ),
    Layout(
        name="imagenet_10pct",
        title="ImageNet, SimCLR's 10 % of the training labels",
        splits={"train": 128_116, "val": 50_000},
        class_count=1000,
        tree=f"{_IMAGENET_TREE}, 10percent.txt",
        source=f"{_SIMCLR}10percent.txt: 884 classes with 128 images, 116 with 129",
        list_file="10percent.txt",
        list_sha256="6d09de11e7bdaf5b1f3b1f249b6183695f97310cdd20f0c03e7235b6b9392091",
    ),
    Layout(
        name="places205",
        title="Places205",
        splits={"train": 2_448_873, "val": 20_500},
        class_count=205,
        tree="train/<class>/*.jpg, val/<class>/*.jpg (`python -m data prepare --dataset places205` makes it)",
        source="Zhou et al. 2014: 100 validation images per class; training count from the published csv split",
    ),
    Layout(
        name="inat18",
        title="iNaturalist 2018",
        splits={"train": 437_513, "val": 24_426},
        class_count=8142,
        tree="train2018.json, val2018.json, train_val2018/<super-category>/<category id>/*.jpg",
        source="visipedia/inat_comp, 2018/README.md",
    ),
    Layout(
        name="voc07",
        title="PASCAL VOC 2007 classification",
        splits={"train": 5_011, "val": 4_952},
        class_count=20,
        tree="VOC2007/{Annotations,ImageSets/Main,JPEGImages} (train is its trainval, val its test)",
        source="Everingham et al., VOC2007 development kit: 5,011 trainval and 4,952 test images",
    ),
    Layout(
        name="voc0712",
        title="PASCAL VOC 2007 + 2012 detection",
        splits={"train": 16_551, "val": 4_952},
        class_count=20,
        tree="VOC2007 and VOC2012, each with {Annotations,ImageSets/Main,JPEGImages} (train is both trainvals)",
        source="VOC development kits: 5,011 + 11,540 trainval, 4,952 test (2007)",
        splits_by_year={"VOC2007 trainval": 5_011, "VOC2012 trainval": 11_540, "VOC2007 test": 4_952},
    ),
    Layout(
        name="coco",
        title="COCO 2017",
        splits={"train": 118_287, "val": 5_000},
        class_count=80,
        tree="train2017/*.jpg, val2017/*.jpg, annotations/instances_{train,val}2017.json",
        source="cocodataset.org, 2017 release: 118,287 and 5,000 images, 80 thing categories",
    ),
)

LAYOUTS: Mapping[str, Layout] = MappingProxyType({layout.name: layout for layout in _ALL})


def layout_of(dataset: str) -> Layout:
    """The layout of that name.

    Raises:
        Refusal: no data set has this name; the message lists those that exist.
    """
    if dataset not in LAYOUTS:
        raise Refusal(f"unknown data set {dataset!r}; known: {', '.join(LAYOUTS)}")
    return LAYOUTS[dataset]
