"""Write a checkpoint's backbone for torchvision, VISSL or Detectron2, and prove the file by the library's own features.

The file appears only after the proof: it is written beside its destination, loaded there by the target library, and
renamed last. The same weights always give the same bytes, so that a conversion and its way back can be compared.
"""

import hashlib
import os
import pickle
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Literal

import torch

from evaluate.checkpoint import Backbone, load_with_warnings
from results import atomic
from results.refusal import Refusal
from transfer import keymap
from transfer.proof import Proof, prove_torchvision

Target = Literal["torchvision", "vissl", "detectron2"]
LONGEST_NAME = 200
"""Bytes of a file name: most file systems take 255, and the temporary names are longer than the file's own."""


def convert(checkpoint: str, target: Target, output: Path) -> tuple[Proof, str]:
    """Convert `checkpoint` into the file `output` for the library `target`; the proof and the file's SHA-256.

    Raises:
        Refusal: the checkpoint is no ResNet-50, the proof fails, or `output` cannot be written. No file is left then.
    """
    refuse_output(target, output)
    backbone = load_with_warnings(checkpoint)
    partial = output.with_name(f".{output.name}.unproven{output.suffix}")
    try:
        write(backbone.state_dict, target, partial)
        proof = prove(target, partial, backbone)
        digest = hashlib.sha256(partial.read_bytes()).hexdigest()
        partial.replace(output)
    finally:
        with suppress(OSError):  # there is no such folder
            partial.unlink(missing_ok=True)
    return proof, digest


def refuse_output(target: Target, output: Path) -> None:
    """Raises Refusal where the file cannot be written, or the library would not read one of that name."""
    if target == "detectron2" and output.suffix != ".pkl":
        raise Refusal(f"{output} must end in .pkl: by that Detectron2 knows how to read it")
    if len(os.fsencode(output.name)) > LONGEST_NAME:
        raise Refusal(f"{output.name[:40]}... is too long for a file; give --output a name of {LONGEST_NAME} bytes")
    if output.exists():
        raise Refusal(f"{output} exists already; choose another --output or remove it")
    atomic.refuse_unwritable(output.parent)


def write(state_dict: Mapping[str, torch.Tensor], target: Target, output: Path) -> None:
    """Write torchvision-named weights as the file the library reads, atomically and unproven; see `convert`."""
    with atomic.atomic_file(output) as file:
        _WRITERS[target](state_dict, file)


def prove(target: Target, converted: Path, backbone: Backbone) -> Proof:
    """Have the library itself load `converted` and compute; see the engines' proof modules.

    Raises:
        Refusal: a tensor is not matched, a feature differs, or the library is not installed.
    """
    if target == "vissl":
        from transfer.engines import vissl_proof

        return vissl_proof.prove(converted, backbone)
    if target == "detectron2":
        from transfer.engines import detectron2_proof

        return detectron2_proof.prove(converted, backbone)
    return prove_torchvision(converted, backbone.state_dict)


def _write_torchvision(state_dict: Mapping[str, torch.Tensor], file: IO[bytes]) -> None:
    torch.save(_plain(state_dict), file)


def _write_vissl(state_dict: Mapping[str, torch.Tensor], file: IO[bytes]) -> None:
    trunk = keymap.rename(_plain(state_dict), "vissl")
    # VISSL's loader looks for `heads` even when it evaluates the trunk alone.
    torch.save({"classy_state_dict": {"base_model": {"model": {"trunk": trunk, "heads": {}}}}}, file)


def _write_detectron2(state_dict: Mapping[str, torch.Tensor], file: IO[bytes]) -> None:
    model = {key: tensor.numpy() for key, tensor in keymap.rename(_plain(state_dict), "detectron2").items()}
    # Without an author Detectron2 takes a .pkl for a Caffe2 file and renames its tensors once more.
    content = {"model": model, "__author__": "VICReg reproduction suite", "matching_heuristics": True}
    pickle.dump(content, file, protocol=4)


def _plain(state_dict: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    # A clone owns exactly its bytes: a view would drag its whole storage into the file.
    ordered = {key: state_dict[key] for key in keymap.torchvision_keys() if key in state_dict}
    if len(ordered) != len(state_dict):
        keymap.rename(state_dict, "vissl")  # names the stray or missing tensor
    return {key: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for key, tensor in ordered.items()}


_WRITERS: dict[Target, Callable[[Mapping[str, Any], IO[bytes]], None]] = {
    "torchvision": _write_torchvision,
    "vissl": _write_vissl,
    "detectron2": _write_detectron2,
}
