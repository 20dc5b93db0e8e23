"""VISSL's own SVM trainer behind the same files gives the same mAP, and never answers from another input's models."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from transfer import svm
from transfer.svm_files import SvmSettings, read_input, read_results, read_settings, write_input

pytestmark = pytest.mark.engine
SETTINGS = SvmSettings(("cat", "dog", "sheep", "cow"), (0.01, 0.1, 1.0, 10.0), 3, 2.0, 1.0, 1e-4, 2000, 1e-5)


def write_sample(folder: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    directions = rng.standard_normal((40, 4))
    splits = []
    for count in (240, 160):
        features = np.maximum(rng.standard_normal((count, 40)), 0).astype(np.float32)
        labels = (features @ directions + 2.0 * rng.standard_normal((count, 4)) > 1.5).astype(np.int32)
        labels[rng.random(labels.shape) < 0.05] = -1
        splits.append((features, labels))
    write_input(folder, SETTINGS, *splits)


def mean_ap(folder: Path) -> float:
    found = read_results(folder, read_settings(folder))
    assert len(found) == 4
    return 100 * float(np.mean([result.average_precision for result in found.values()]))


def test_vissl_and_the_projects_trainer_agree_within_a_tenth_of_a_point(tmp_path: Path) -> None:
    from transfer.engines import vissl_svm

    write_sample(tmp_path, 3)
    ours = {result.name: result for result in svm.solve(tmp_path, 1)}
    our_map = mean_ap(tmp_path)
    given = read_input(tmp_path)
    theirs = vissl_svm.train(vissl_svm.own_folder(tmp_path, given.settings), given)
    assert our_map == pytest.approx(100 * float(np.mean([r.average_precision for r in theirs])), abs=0.1)
    for result in theirs:
        assert result.cost == ours[result.name].cost
        np.testing.assert_allclose(result.cross_validation, ours[result.name].cross_validation, atol=1e-3)


def test_the_same_input_gives_the_same_bits_also_where_a_kill_has_left_some_classes_out(tmp_path: Path) -> None:
    from transfer.engines import vissl_svm

    write_sample(tmp_path, 3)
    given = read_input(tmp_path)
    for name in ("whole", "torn"):
        (tmp_path / name).mkdir()
    whole = vissl_svm.train(tmp_path / "whole", given)
    assert vissl_svm.train(tmp_path / "torn", given) == whole
    for pattern in ("cls[23]_*", "AP_cls[23]_*", "crossval_ap.npy", "test_ap.npy", "chosen_cost.npy"):
        for path in (tmp_path / "torn" / vissl_svm.LAYER).glob(pattern):
            path.unlink()
    assert vissl_svm.train(tmp_path / "torn", given) == whole


def test_a_model_that_a_kill_cut_short_is_not_there(tmp_path: Path) -> None:
    from transfer.engines import vissl_compat

    vissl_compat.adapt_svm()
    import vissl.utils.svm_utils.svm_trainer as svm_trainer

    path = tmp_path / "cls0_cost1.0.pickle"
    with pytest.raises(KeyboardInterrupt), svm_trainer.g_pathmgr.open(str(path), "wb") as file:
        file.write(b"half a model")
        raise KeyboardInterrupt
    assert not svm_trainer.g_pathmgr.exists(str(path))
    svm_trainer.save_file(np.arange(3.0), str(tmp_path / "ap.npy"))
    assert np.load(tmp_path / "ap.npy").tolist() == [0.0, 1.0, 2.0]


def test_models_of_another_input_are_thrown_away(tmp_path: Path) -> None:
    from transfer.engines import vissl_svm

    models = vissl_svm.own_folder(tmp_path, replace(SETTINGS, input_sha256="first"))
    (models / "cls0_cost1.0.pickle").write_bytes(b"a model")
    assert (vissl_svm.own_folder(tmp_path, replace(SETTINGS, input_sha256="first")) / "cls0_cost1.0.pickle").exists()
    assert not list(vissl_svm.own_folder(tmp_path, replace(SETTINGS, input_sha256="second")).glob("*.pickle"))
