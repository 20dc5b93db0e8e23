"""The engines' wheels are unpacked by hand, so their digests and contents are checked by hand."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from environment import engines


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "engine-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("vissl/__init__.py", "vissl/models/net.py", "tests/__init__.py", "vissl/../../outside.py"):
            archive.writestr(name, f"# {name}\n")
    return path


def test_a_wheel_with_another_digest_is_not_unpacked(wheel: Path) -> None:
    with pytest.raises(ValueError, match="expected 0000"):
        engines.check_digest(wheel, "0000")
    engines.check_digest(wheel, hashlib.sha256(wheel.read_bytes()).hexdigest())


def test_only_the_named_folders_are_unpacked_and_nothing_leaves_the_target(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "site-packages"
    assert engines.unpack(wheel, ("vissl",), target) == 2
    assert sorted(str(path.relative_to(target)) for path in target.rglob("*.py")) == [
        "vissl/__init__.py",
        "vissl/models/net.py",
    ]
    assert not (tmp_path / "outside.py").exists()


def test_a_package_left_half_unpacked_does_not_count_as_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "half_engine").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert not engines.importable("half_engine")
    (tmp_path / "half_engine" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))  # drops the import system's memory of the folder
    assert engines.importable("half_engine")


def test_an_engine_that_is_importable_already_is_kept(tmp_path: Path) -> None:
    present = engines.EngineWheel("json", "json==0", "00", ("json",), "3.11")
    assert engines.install(present, tmp_path) == "json: importable already, kept"
    assert list(tmp_path.iterdir()) == []
