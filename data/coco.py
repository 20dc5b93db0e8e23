"""COCO 2017 as published: the 80 thing categories and the instances file of each split."""

from pathlib import Path

from data import safe_json
from data.paths import below

SPLITS = ("train", "val")

# The published ids leave gaps; Detectron2's own metadata has the same ids and names.
_NAMES = """
1 person 2 bicycle 3 car 4 motorcycle 5 airplane 6 bus 7 train 8 truck 9 boat 10 traffic_light 11 fire_hydrant
13 stop_sign 14 parking_meter 15 bench 16 bird 17 cat 18 dog 19 horse 20 sheep 21 cow 22 elephant 23 bear 24 zebra
25 giraffe 27 backpack 28 umbrella 31 handbag 32 tie 33 suitcase 34 frisbee 35 skis 36 snowboard 37 sports_ball 38 kite
39 baseball_bat 40 baseball_glove 41 skateboard 42 surfboard 43 tennis_racket 44 bottle 46 wine_glass 47 cup 48 fork
49 knife 50 spoon 51 bowl 52 banana 53 apple 54 sandwich 55 orange 56 broccoli 57 carrot 58 hot_dog 59 pizza 60 donut
61 cake 62 chair 63 couch 64 potted_plant 65 bed 67 dining_table 70 toilet 72 tv 73 laptop 74 mouse 75 remote
76 keyboard 77 cell_phone 78 microwave 79 oven 80 toaster 81 sink 82 refrigerator 84 book 85 clock 86 vase 87 scissors
88 teddy_bear 89 hair_drier 90 toothbrush
"""

_WORDS = _NAMES.split()

CATEGORIES = {int(key): name.replace("_", " ") for key, name in zip(_WORDS[::2], _WORDS[1::2], strict=True)}


def json_path(root: Path, split: str) -> Path:
    """The instances file of a split ("train" or "val")."""
    return root / "annotations" / f"instances_{split}2017.json"


def image_folder(root: Path, split: str) -> Path:
    """The folder with the images of a split."""
    return root / f"{split}2017"


def image_paths(root: Path, split: str) -> list[Path]:
    """The images that the instances file of a split names, in its order.

    Raises:
        Refusal: the file is missing or malformed, or a name leaves the split's folder. That they exist is not checked.
    """
    source = json_path(root, split)
    items = safe_json.objects(safe_json.read_object(source), "images", source)
    return [below(image_folder(root, split), item.get("file_name"), source) for item in items]
