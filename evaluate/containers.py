"""Reading a weights file of any container into plain dictionaries of tensors, without running anything from it.

Recognised by content: torch's zip files, torch's older files (five pickles and raw storages), and safetensors.
"""

import contextlib
import pickle
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import torch
from safetensors import SafetensorError, safe_open

from evaluate.pickles import globals_named, refuse_unknown_globals, stand_ins
from results.refusal import Refusal, one_line

ZIP_MAGIC = b"PK\x03\x04"
PICKLE_MAGIC = b"\x80"
# The first pickle of a torch file written before version 1.6 is this number.
LEGACY_MAGIC = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
LEGACY_PICKLES = 5


def read_tree(path: Path) -> tuple[Any, str]:
    """The object in `path` (nested dictionaries with tensors on the CPU) and the name of its container.

    Raises:
        Refusal: the file is missing, empty, truncated, no weights file, or a pickle that names an unknown global.
    """
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as error:
        raise Refusal(f"{path} cannot be read: {error.strerror or error}") from error
    if not start:
        raise Refusal(f"{path} is empty; copy or download it anew")
    if start.startswith(ZIP_MAGIC):
        return _read_torch(path, _globals_of_zip(path)), "torch zip"
    if len(start) > 10 and start[2:15] == LEGACY_MAGIC:
        return _read_torch(path, _globals_of_pickles(path, LEGACY_PICKLES)), "torch legacy"
    if len(start) > 8 and start[8:9] == b"{":
        return _read_safetensors(path), "safetensors"
    if start.startswith(PICKLE_MAGIC):
        _refuse_plain_pickle(path)
    raise Refusal(
        f"{path} is neither a torch nor a safetensors file (it starts with {start[:8]!r}); give a weights file"
    )


def _read_torch(path: Path, names: list[str]) -> Any:
    refuse_unknown_globals(names, str(path))
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(stand_ins(names)):
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = next((line.strip() for line in str(error).splitlines() if "nsupported" in line), str(error)[:200])
        raise Refusal(f"{path} cannot be read with weights-only loading: {reason[:200]}") from error
    # A damaged file makes torch raise nearly anything; all of it means the same to the user.
    except Exception as error:
        raise Refusal(f"{path} is damaged or truncated ({one_line(error)}); copy it anew") from error


def _globals_of_zip(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            pickles = [name for name in names if name.endswith("/data.pkl")]
            if any(name.endswith("/constants.pkl") for name in names):
                raise Refusal(f"{path} is a TorchScript program, not weights; save its state_dict() instead")
            # Opening one would take the memory that its parts claim to need.
            if any(item.compress_type != zipfile.ZIP_STORED for item in archive.infolist()):
                raise Refusal(f"{path} is damaged or truncated (compressed, which torch never does); copy it anew")
            if not pickles:
                raise Refusal(f"{path} is a zip file without tensors; give a weights file")
            with archive.open(pickles[0]) as file:
                return _quietly_named(file)
    except Refusal:
        raise
    # Encrypted, or packed by a method that Python does not know: torch writes neither.
    except (zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError, RuntimeError, MemoryError) as error:
        raise Refusal(f"{path} is damaged or truncated ({one_line(error)}); copy it anew") from error


def _globals_of_pickles(path: Path, pickles: int) -> list[str]:
    try:
        with path.open("rb") as file:
            return _quietly_named(file, pickles)
    # A word may claim any length, up to more than there is memory.
    except (ValueError, MemoryError) as error:
        raise Refusal(f"{path} is damaged or truncated ({one_line(error)}); copy it anew") from error


def _quietly_named(file: IO[bytes], pickles: int = 1) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd escapes in a damaged pickle's words
        return globals_named(file, pickles)


def _refuse_plain_pickle(path: Path) -> None:
    names: list[str] = []
    with contextlib.suppress(Refusal):
        names = _globals_of_pickles(path, 1)
    refuse_unknown_globals(names, str(path))
    raise Refusal(
        f"{path} is a plain pickle ({', '.join(names[:3]) or 'no globals'}), as Detectron2's zoo and BYOL publish "
        "theirs; those are not read. Save its arrays as tensors under torchvision's names with torch.save"
    )


def _read_safetensors(path: Path) -> dict[str, Any]:
    """Tensors by name, and the header's metadata under "__metadata__"."""
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dictionary
            return {**tensors, "__metadata__": file.metadata() or {}}
    except (SafetensorError, ValueError, TypeError, KeyError, AttributeError, RuntimeError, OSError) as error:
        raise Refusal(f"{path} is a damaged or truncated safetensors file ({one_line(error)}); copy it anew") from error
