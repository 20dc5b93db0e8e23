"""What stands between the published Detectron2 and the Python, torch and NumPy of this suite; one reason a line.

Import `detectron2` only after `prepare()`. Nothing in site-packages is changed, and a Detectron2 that was built with
its compiled extension works the same way.
"""

import functools
import importlib
import importlib.util
import warnings
from pathlib import Path
from typing import Any

from PIL import Image

from data.decode import opened
from results import sealed
from results.refusal import Refusal


@functools.cache
def prepare() -> Path:
    """Make Detectron2 importable and quiet; the folder of its configuration files.

    Raises:
        Refusal: Detectron2, or what it evaluates COCO with, is not installed.
    """
    spec = importlib.util.find_spec("detectron2")
    if spec is None or not spec.submodule_search_locations:
        raise Refusal("Detectron2 is not installed; run `make setup`")
    coco_api()
    if not hasattr(Image, "LINEAR"):
        # Detectron2 0.6, as conda-forge has it, still uses this name; Pillow dropped it in version 10.
        Image.LINEAR = Image.Resampling.BILINEAR  # type: ignore[attr-defined]
    with warnings.catch_warnings():
        # fvcore's losses and Detectron2's box transforms go through torch.jit.script when they are imported; torch
        # deprecates that, they work.
        warnings.filterwarnings("ignore", message=r".*torch\.jit\.script.* is deprecated", category=FutureWarning)
        importlib.import_module("detectron2.modeling")
    # Not through detectron2.model_zoo: it imports pkg_resources, which setuptools has removed.
    configs = Path(spec.submodule_search_locations[0]) / "model_zoo" / "configs"
    if not configs.is_dir():
        raise Refusal(f"{configs} does not exist: this Detectron2 was installed without its configuration files")
    return configs


@functools.cache
def coco_api() -> str:
    """Which library reads and scores COCO files: "pycocotools" if it is there, else "faster-coco-eval" in its place.

    Raises:
        Refusal: neither is installed.
    """
    if importlib.util.find_spec("pycocotools"):
        return "pycocotools"
    if importlib.util.find_spec("faster_coco_eval"):
        import faster_coco_eval

        # Detectron2 imports pycocotools by name; this puts the compatible classes under that name.
        faster_coco_eval.init_as_pycocotools()
        return "faster-coco-eval"
    raise Refusal("neither pycocotools nor faster-coco-eval is installed; run `make setup`")


def name_unusable_images() -> None:
    """Let Detectron2 name the image that it cannot read, resize or fit to its annotation, and refuse one too large.

    Safe to call twice.
    """
    from detectron2.data import DatasetMapper

    theirs: Any = DatasetMapper.__call__
    if not hasattr(theirs, "__wrapped__"):

        @functools.wraps(theirs)
        def mapped(self: Any, item: dict[str, Any]) -> Any:
            with opened(Path(item["file_name"])):
                return theirs(self, item)

        DatasetMapper.__call__ = mapped


def seal_checkpoints() -> None:
    """Let Detectron2's trainer put each checkpoint's digest beside it, and leave no half of one on a full disk.

    Detectron2 removes old checkpoints itself; their digests go with the next save.
    """
    from detectron2.checkpoint import DetectionCheckpointer
    from detectron2.engine import defaults

    class Sealing(DetectionCheckpointer):  # type: ignore[misc]
        def save(self, name: str, **content: Any) -> None:
            if not self.save_dir or not self.save_to_disk:
                return
            path = Path(self.save_dir) / f"{name}.pth"
            sealed.unseal(path)
            try:
                super().save(name, **content)
            except (OSError, RuntimeError) as error:
                sealed.unseal(path)
                # torch.save turns the OSError of a full disk into a RuntimeError about its own positions.
                cause = error if isinstance(error, OSError) else error.__context__
                if not isinstance(cause, OSError):
                    raise
                raise Refusal(f"cannot write {path}: {cause}; free space, then start the same command again") from error
            sealed.seal(path)
            sealed.drop_lone_digests(path.parent, "*.pth")

    defaults.DetectionCheckpointer = Sealing


def allow_data_parallel_on_cpu() -> None:
    """Let Detectron2's trainer wrap a CPU model for several processes.

    It passes the local rank as a device id, which DistributedDataParallel takes for a GPU's.
    """
    from detectron2.engine import defaults

    wrapped: Any = defaults.create_ddp_model
    if not isinstance(wrapped, functools.partial):
        defaults.create_ddp_model = functools.partial(wrapped, device_ids=None)
