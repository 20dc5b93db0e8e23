"""What a pickle would import, read without running it; and which of those names are harmless. Torch-free.

Public checkpoints hold a few objects beside tensors: the released VICReg optimizer keeps a function, its evaluation
checkpoint an argparse.Namespace. These are never needed, so they are replaced by empty stand-ins. Nothing named here
is ever imported or called; every other name refuses the file.
"""

import pickletools
from collections.abc import Callable, Iterator
from typing import IO, Any

from results.refusal import Refusal, printable

# torch's own reader decides on these one by one (tensors and storages yes, everything else no).
TORCH_PACKAGE = "torch"
PLAIN_CONTAINERS = frozenset({"collections.OrderedDict", "collections.Counter", "_codecs.encode"}) | {
    f"{module}.{name}" for module in ("builtins", "__builtin__") for name in ("set", "bytearray", "complex")
}

HARMLESS_OBJECTS = {
    "__main__.exclude_bias_and_norm": "VICReg's optimizer, released code started as a script",
    "main_vicreg.exclude_bias_and_norm": "VICReg's optimizer, released code started through submitit",
    "main.exclude_bias_and_norm": "Barlow Twins' optimizer, before it kept booleans",
    "argparse.Namespace": "the command line, in VICReg's and DINO's checkpoints",
    "pathlib.PosixPath": "paths among settings",
    "pathlib._local.PosixPath": "the same, written by Python 3.13",
    "pathlib.Path": "paths among settings",
    "numpy.core.multiarray.scalar": "accuracies kept as NumPy scalars",
    "numpy._core.multiarray.scalar": "the same, written by NumPy 2",
    "numpy.core.multiarray._reconstruct": "NumPy arrays among counters and random states",
    "numpy._core.multiarray._reconstruct": "the same, written by NumPy 2",
    "numpy.ndarray": "the same",
    "numpy.dtype": "the same",
    "omegaconf.dictconfig.DictConfig": "solo-learn's hyper-parameters",
    "omegaconf.listconfig.ListConfig": "the same",
    "omegaconf.base.ContainerMetadata": "the same",
    "omegaconf.base.Metadata": "the same",
    "omegaconf.nodes.AnyNode": "the same",
    "typing.Any": "a type inside omegaconf's metadata",
    "builtins.dict": "the same",
    "builtins.list": "the same",
    "__builtin__.dict": "the same",
    "__builtin__.list": "the same",
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint": "a key of old Lightning callbacks",
    "mmengine.logging.history_buffer.HistoryBuffer": "mmselfsup's message hub",
}
HARMLESS_DICTIONARIES = {
    "collections.defaultdict": "optimizer state",
    "pytorch_lightning.utilities.parsing.AttributeDict": "Lightning's hyper-parameters",
    "lightning.fabric.utilities.data.AttributeDict": "the same",
    "lightning_fabric.utilities.data.AttributeDict": "the same",
    "vissl.utils.hydra_config.AttrDict": "VISSL's configuration",
}


class StandIn:
    """Takes the place of a harmless object: accepts whatever the pickle gives it and does nothing with it."""

    def __init__(self, *arguments: object) -> None:
        self.arguments = arguments
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state


class DictionaryStandIn:
    """Takes the place of a harmless dictionary class: makes a plain dict."""

    def __new__(cls, *_arguments: object) -> dict[str, object]:  # type: ignore[misc]
        """An empty dict; the pickle fills it."""
        return {}


def stand_ins(names: list[str]) -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """A stand-in for each harmless name among `names`, as torch's reader wants them: (class, name it stands for).

    Each name gets a class of its own, because torch's reader finds them by value as well as by name.
    """
    found: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = []
    for name in names:
        if name in HARMLESS_OBJECTS:
            found.append((type("StandIn", (StandIn,), {}), name))
        elif name in HARMLESS_DICTIONARIES:
            found.append((type("DictionaryStandIn", (DictionaryStandIn,), {}), name))
    return found


def refuse_unknown_globals(names: list[str], where: str) -> None:
    """Raise if a pickle names anything that is neither a tensor's part nor known to be harmless.

    Raises:
        Refusal: naming the first such global.
    """
    known = {*PLAIN_CONTAINERS, *HARMLESS_OBJECTS, *HARMLESS_DICTIONARIES}
    for name in names:
        if name not in known and name.split(".")[0] != TORCH_PACKAGE:
            raise Refusal(
                f"{where} refers to {printable(name)[:80]}, which unpickling would import and may run; nothing was "
                "loaded. If you trust the file, save its tensors alone: torch.save(state_dict, ...)"
            )


def globals_named(file: IO[bytes], pickles: int = 1) -> list[str]:
    """Every "module.name" that the next `pickles` pickles of `file` name, in order of first appearance.

    Raises:
        ValueError: what follows is not a pickle, or it ends early.
    """
    found: dict[str, None] = {}
    for _ in range(pickles):
        found.update(dict.fromkeys(_globals(file)))
    return list(found)


def _globals(file: IO[bytes]) -> Iterator[str]:
    strings: list[str] = []
    memo: dict[int, str] = {}
    last = ""
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name in ("GLOBAL", "INST"):
            yield str(argument).replace(" ", ".", 1)
        elif opcode.name == "STACK_GLOBAL":
            yield ".".join(strings[-2:])
        elif opcode.name in ("MEMOIZE", "BINPUT", "LONG_BINPUT", "PUT"):
            memo[len(memo) if argument is None else int(argument)] = last
            continue
        elif opcode.name in ("BINGET", "LONG_BINGET", "GET"):
            last = memo.get(int(argument or 0), "")
            strings.append(last)
            continue
        last = argument if isinstance(argument, str) else ""
        if last:
            strings.append(last)
