"""VISSL's own SVM trainer on the same files: `python -m transfer.engines.vissl_svm FOLDER JOBS`.

It reads what `transfer.svm` reads and leaves what `transfer.svm` leaves, so that either can check the other. VISSL
trains all classes at once, in threads, and keeps its models below FOLDER/vissl_svm, from which it resumes by itself.
"""

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

from results.refusal import run_command_line
from transfer.engines import vissl_compat
from transfer.engines.child import die_with_parent
from transfer.svm_files import ClassResult, SvmInput, SvmSettings, read_input, write_result

LAYER = "features"


def configuration(settings: SvmSettings) -> dict[str, Any]:
    """The SVM section of VISSL's configuration, as its file for VOC07 has it, with the protocol's numbers.

    Class weights (2 and 1), the tolerance (1e-4) and the norm's epsilon (1e-5) are written in VISSL's code.
    """
    return {
        "normalize": True,
        "cls_list": [],
        "loss": "squared_hinge",
        "penalty": "l2",
        "dual": True,
        "max_iter": settings.max_iterations,
        "cross_val_folds": settings.folds,
        "costs": {"costs_list": list(settings.costs), "base": -1.0, "power_range": [4, 20]},
        "force_retrain": False,
    }


def results(folder: Path, given: SvmInput) -> list[ClassResult]:
    """Read VISSL's matrices: test AP (classes, 1), cross-validation AP (classes, costs) and the chosen costs."""
    test_ap = np.load(folder / LAYER / "test_ap.npy")[:, 0]
    crossval = np.load(folder / LAYER / "crossval_ap.npy")
    chosen = np.load(folder / LAYER / "chosen_cost.npy")
    return [
        ClassResult(name, float(test_ap[index]), float(chosen[index]), [float(score) for score in crossval[index]])
        for index, name in enumerate(given.settings.classes)
    ]


def train(folder: Path, given: SvmInput) -> list[ClassResult]:
    """Train, choose and test with VISSL's SVMTrainer in `folder`."""
    with vissl_compat.quiet():
        from vissl.config import AttrDict
        from vissl.utils.svm_utils.svm_trainer import SVMTrainer

        vissl_compat.adapt_svm()
        trainer = SVMTrainer(AttrDict(configuration(given.settings)), LAYER, str(folder))
        # VISSL's test overwrites labels in place; its loader hands both methods float64 features.
        trainer.train(given.train.astype(np.float64), given.train_labels.copy())
        # Where an earlier start has trained some classes, this table holds zeros for them, and their first cost would
        # be chosen; without the table VISSL reads every score from its file.
        trainer.train_ap_matrix = None
        trainer.test(given.test.astype(np.float64), given.test_labels.copy())
    return results(folder, given)


def own_folder(folder: Path, settings: SvmSettings) -> Path:
    """Where VISSL may keep its models: emptied unless they are of exactly this input, for VISSL never asks."""
    models, owner = folder / "vissl_svm", folder / "vissl_svm" / "input.sha256"
    if models.exists() and (not owner.exists() or owner.read_text(encoding="utf-8") != settings.input_sha256):
        shutil.rmtree(models)
    models.mkdir(exist_ok=True)
    owner.write_text(settings.input_sha256, encoding="utf-8")
    return models


def main() -> int:
    """Train and test every class of the folder named on the command line, printing one line for each."""
    die_with_parent()
    folder = Path(sys.argv[1])
    given = read_input(folder)
    for result in train(own_folder(folder, given.settings), given):
        write_result(folder, given.settings, result)
        print(f"{result.name}: AP {100 * result.average_precision:.2f}, C {result.cost:g}", flush=True)
    return 0


if __name__ == "__main__":
    run_command_line(main)
