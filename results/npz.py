"""Archives of NumPy arrays that anybody may have written: read whole, with nothing in them unpickled."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from results.refusal import Refusal, one_line


def read(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of the npz file at `path`, by name.

    Raises:
        Refusal: it is missing or damaged, or holds pickled objects.
    """
    try:
        # NumPy leaves the file open when the archive is damaged, so it is opened, and closed, here.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except Exception as error:  # a damaged archive raises whatever zipfile, zlib and NumPy happen to raise
        raise Refusal(f"{path} is not a readable npz file ({one_line(error)})") from error
