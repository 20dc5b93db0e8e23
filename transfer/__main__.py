"""Measure how a frozen or fine-tuned ResNet-50 transfers, or convert its weights for the library that measures it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from results.cards import CARDS, write_cards
from results.refusal import run_command_line
from results.usage import deferred, usage_errors_in_one_line
from transfer import detection_protocols
from transfer.cards import full_size_cards
from transfer.command import execute
from transfer.detection_protocols import DetectionProtocol
from transfer.detection_run import DetectionRun
from transfer.job import Job, Outcome
from transfer.protocols import PROTOCOLS, Head, LinearProtocol, SvmProtocol, parse_head, spell_head
from transfer.run import LinearRun, Run, SvmRun

HEADS = ConstructorRegistry()
Command = Callable[..., int]
Measure = Callable[[Job[Any, Any]], Outcome]


def convert(checkpoint: str, to: Literal["torchvision", "vissl", "detectron2"], output: Path) -> int:
    """Write a checkpoint's backbone as a file for a library, proven by that library's own features.

    Args:
        checkpoint: a checkpoint file in any public format, or a known name.
        to: the library that will read the file.
        output: the file to write (.pth for torchvision, .torch for VISSL, .pkl for Detectron2).
    """
    from transfer.convert import convert as write_proven

    proof, digest = write_proven(checkpoint, to, output)
    for line in proof.lines:
        print(line)
    print(f"{output}: sha256 {digest}")
    return 0


def cards(folder: Path = CARDS) -> int:
    """Write the cards of the full-size linear and SVM protocols as JSON.

    Args:
        folder: where the results room reads them.
    """
    for path in write_cards(full_size_cards(), folder):
        print(path)
    return 0


def measure_linear(job: Job[LinearProtocol, LinearRun]) -> Outcome:
    """Train the linear heads with the engine that the run names."""
    if job.run.engine == "vissl":
        from transfer.engines import vissl

        return vissl.measure(job)
    from transfer import linear_probe

    return linear_probe.measure(job)


def measure_svm(job: Job[SvmProtocol, SvmRun]) -> Outcome:
    """Extract the features once and train the SVMs."""
    from transfer import voc07

    return voc07.measure(job)


def measure_detection(job: Job[DetectionProtocol, DetectionRun]) -> Outcome:
    """Fine-tune a detector with Detectron2."""
    from transfer.engines import detectron2

    return detectron2.measure(job)


def commands() -> dict[str, Command]:
    """Every subcommand by name: `convert`, `cards`, and one for each named protocol."""
    found: dict[str, Command] = {"convert": convert, "cards": cards}
    for name, protocol in PROTOCOLS.items():
        if isinstance(protocol, LinearProtocol):
            found[name] = _command(name, protocol, LinearRun, measure_linear)
        else:
            found[name] = _command(name, protocol, SvmRun, measure_svm)
    for name, detection in detection_protocols.PROTOCOLS.items():
        found[name] = _command(name, detection, DetectionRun, measure_detection)
    return found


def _command(name: str, named: Any, run_type: type[Run], measure: Measure) -> Command:
    def command(run: Any, protocol: Any = named) -> int:
        return execute(name, named, protocol, run, measure)

    # tyro reads the flags off these types, which only the table of protocols knows.
    command.__annotations__ = {"run": run_type, "protocol": type(named), "return": int}
    command.__doc__ = f"Fill {', '.join(named.cells)}."
    return command


@HEADS.primitive_rule
def head_rule(type_info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Head] | None:
    """Heads are spelled in one word each, so that their number can be chosen too: --protocol.heads res5 res5avg."""
    if type_info.type is not Head:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="LAYER[:KERNEL[:STRIDE[:PADDING]]]",
        instance_from_str=lambda words: parse_head(words[0]),
        is_instance=lambda value: isinstance(value, Head),
        str_from_instance=lambda head: [spell_head(head)],
    )


def main() -> int:
    """Read the command line and run the chosen subcommand."""
    noted = {name: deferred(command) for name, command in commands().items()}
    with usage_errors_in_one_line():
        command: Callable[[], int] = tyro.extras.subcommand_cli_from_dict(
            noted, prog="python -m transfer", description=__doc__, registry=HEADS
        )
    return command()


if __name__ == "__main__":
    run_command_line(main)
