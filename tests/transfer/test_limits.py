"""What no protocol of this room may say."""

import pytest

from results.refusal import Refusal
from transfer.limits import refuse_foreign_cells, refuse_foreign_config, refuse_lone_image


@pytest.mark.parametrize(("images", "batch"), [(65, 64), (1, 64), (129, 64), (10, 1)])
def test_a_batch_of_one_image_is_refused_with_the_remedy(images: int, batch: int) -> None:
    with pytest.raises(Refusal, match=f"{images} training images in batches of {batch}.*--run.limit"):
        refuse_lone_image(images, batch)


@pytest.mark.parametrize("images", [2_448_873, 437_513, 720, 64])
def test_the_published_data_sets_are_taken(images: int) -> None:
    refuse_lone_image(images, 256)


def test_cells_and_files_of_others_are_refused() -> None:
    refuse_foreign_cells(("table2/inat18/top1",), "inat18")
    with pytest.raises(Refusal, match="no cell of inat18"):
        refuse_foreign_cells(("table2/places205/top1",), "inat18")
    refuse_foreign_config("Base/coco.yaml")
    with pytest.raises(Refusal, match="base_config"):
        refuse_foreign_config("../../etc/passwd")
