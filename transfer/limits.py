"""What a protocol of this room may not say: another data set's cells, a file of any name, a batch of one image."""

import re

from results.cells import is_cell
from results.refusal import Refusal

_CONFIG_FILE = re.compile(r"[\w-]+/[\w-]+\.yaml")


def refuse_foreign_cells(cells: tuple[str, ...], dataset: str) -> None:
    """Raises Refusal unless there are cells, all of them of `dataset` in Table 2."""
    if not cells or not all(is_cell(cell) and cell.startswith(f"table2/{dataset}") for cell in cells):
        raise Refusal(f"protocol.cell is {', '.join(cells)!r}, no cell of {dataset}; see `python -m results cells`")


def refuse_lone_image(images: int, global_batch_size: int) -> None:
    """Raises Refusal where an epoch would end in a batch of one image, of which batch norm has no variance."""
    if images % global_batch_size == 1 or global_batch_size == 1:
        raise Refusal(
            f"{images} training images in batches of {global_batch_size} leave a batch of one, and batch norm needs "
            "two: change --run.limit or --protocol.global-batch-size"
        )


def refuse_foreign_config(name: str) -> None:
    """Raises Refusal unless `name` is "<folder>/<name>.yaml": it is looked up below Detectron2's own folder."""
    if not _CONFIG_FILE.fullmatch(name):
        raise Refusal(f'protocol.base_config is {name!r}, expected "<folder>/<name>.yaml"')
