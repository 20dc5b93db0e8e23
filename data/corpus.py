"""Which data this is: the published data set, the embedded digits, or something else; and its fingerprint."""

from pathlib import Path

from data import fingerprint
from data.layouts import layout_of
from data.marker import DIGITS, find_marker
from results.records import DatasetIdentity

OFFICIAL = "official"
OTHER = "other"


def identify(root: Path, dataset: str, *, subset: str = "") -> DatasetIdentity:
    """Name, corpus, fingerprint and image counts of the data at `root`.

    `corpus` is "digits" below a digits corpus, "official" when every split has exactly the published number of images,
    and "other" otherwise, so that a part of ImageNet can never pass for ImageNet. The fingerprint covers the relative
    path and size of every image and the content of every label file (see `data.fingerprint`); it is kept in the user's
    cache, so that asking again is quick. `subset` is recorded as given.

    Raises:
        Refusal: `root` does not hold `dataset` in its published layout.
    """
    layout = layout_of(dataset)
    found = fingerprint.compute(root, dataset)
    if find_marker(root) is not None:
        corpus = DIGITS
    else:
        corpus = OFFICIAL if dict(found.counts) == dict(layout.splits) else OTHER
    return DatasetIdentity(dataset, corpus, found.digest, dict(found.counts), subset)
