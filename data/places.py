"""Places205 as published: images nested under letters, and one csv line "<path> <label>" per image and split."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from data.paths import below
from results.refusal import Refusal

IMAGES = Path("data/vision/torralba/deeplearning/images256")
CSV_FOLDER = Path("trainvalsplit_places205")
SPLITS = ("train", "val")


@dataclass(frozen=True)
class PlacesImage:
    """One line of a csv split: where the image is, its class as a folder name, and the published label."""

    path: Path
    class_name: str
    label: int


def csv_path(root: Path, split: str) -> Path:
    """The csv file of a split ("train" or "val")."""
    return root / CSV_FOLDER / f"{split}_places205.csv"


def class_name(relative: str) -> str:
    """The flat folder name of an image's class: "a/apartment_building/outdoor/x.jpg" -> "apartment_building-outdoor".

    The letter goes; a second level, which a reader of one level of folders would take for no class at all, is joined.
    """
    return "-".join(PurePosixPath(relative).parts[1:-1])


def read_split(root: Path, split: str) -> list[PlacesImage]:
    """The images of a split in the order of its csv file.

    Raises:
        Refusal: the file is missing, a line is not "<letter>/<class>[/<second level>]/<image> <label>", a path leaves
            the images' folder, an image is listed twice, or a class and a label do not belong together one to one.
            That the images exist is not checked here.
    """
    source = csv_path(root, split)
    try:
        lines = source.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise Refusal(f"{source} cannot be read ({error}); unpack Places205's trainvalsplit archive there") from error
    found = [_read_line(line, root, source) for line in lines if line.strip()]
    if not found:
        raise Refusal(f"{source} lists no images; unpack Places205's trainvalsplit archive anew")
    if len({image.path for image in found}) != len(found):
        raise Refusal(f"{source} lists an image twice; unpack Places205's trainvalsplit archive anew")
    label_of_class(found, source)
    return found


def label_of_class(images: list[PlacesImage], source: Path) -> dict[str, int]:
    """The published label of each class.

    Raises:
        Refusal: a class has two labels or a label two classes.
    """
    pairs = {(image.class_name, image.label) for image in images}
    labels = dict(sorted(pairs))
    if len(labels) != len(pairs) or len(set(labels.values())) != len(pairs):
        raise Refusal(f"{source}: classes and labels do not belong together one to one; restore the published file")
    return labels


def _read_line(line: str, root: Path, source: Path) -> PlacesImage:
    name, _, label = line.strip().rpartition(" ")
    name = name.strip().removeprefix("/")
    if not class_name(name) or not (label.isascii() and label.isdigit()):
        raise Refusal(f'{source}: the line {line[:100]!r} is not "<letter>/<class>/<image> <label>"; restore the file')
    return PlacesImage(below(root / IMAGES, name, source), class_name(name), int(label))
