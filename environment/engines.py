"""Unpack VISSL and Detectron2 into the running environment, from their wheels, digests checked.

Neither can be installed the ordinary way: VISSL 0.1.6 pins libraries of 2021 that do not import on Python 3.11, and
Detectron2 has no release on the package index, only its Python files as the wheel `sal-detectron2`, tagged for another
Python (its compiled extension is not needed here: torchvision supplies ROIAlign and NMS). Both wheels also carry
top-level folders called `tests`, `tools` and the like, which would shadow this project's and each other's; so only the
named packages are unpacked. A `detectron2` that can be imported already (conda-forge's, or built from source) is kept.
"""

import hashlib
import importlib.util
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class EngineWheel:
    """A wheel to unpack: what to ask the index for, the digest to insist on, the top-level folders to keep."""

    package: str
    requirement: str
    sha256: str
    folders: tuple[str, ...]
    python_version: str


VISSL = EngineWheel(
    package="vissl",
    requirement="vissl==0.1.6",
    sha256="b02e17c2884bbe673c741fa189529885ee5c60c3c20b653fb1af666b68ce2048",
    # Its own configurations are the package `configs`, and it imports the copy of `fairscale` that it carries.
    folders=("vissl", "configs", "fairscale", "vissl-0.1.6.dist-info"),
    python_version="3.11",
)
DETECTRON2 = EngineWheel(
    package="detectron2",
    requirement="sal-detectron2==0.7.2",
    sha256="491af0c7f79bdb2d178e46f6cb16a97c4ac968d45c41ea3f6b6435d59bbee561",
    folders=("detectron2", "sal_detectron2-0.7.2.dist-info"),
    python_version="3.10",
)


def install(engine: EngineWheel, site_packages: Path) -> str:
    """Make `engine` importable and say in one line what was done; does nothing if it is importable already.

    Raises:
        ValueError: the downloaded wheel's digest is not the recorded one.
        subprocess.CalledProcessError: the index could not supply the wheel.
    """
    if importable(engine.package):
        return f"{engine.package}: importable already, kept"
    with tempfile.TemporaryDirectory() as folder:
        wheel = download(engine, Path(folder))
        check_digest(wheel, engine.sha256)
        count = unpack(wheel, engine.folders, site_packages)
    return f"{engine.package}: {count} files unpacked from {engine.requirement}, digest as recorded"


def importable(package: str) -> bool:
    """Whether the package is there whole: what an interrupted run leaves has no `__init__.py` and does not count."""
    spec = importlib.util.find_spec(package)
    return spec is not None and spec.origin is not None


def download(engine: EngineWheel, folder: Path) -> Path:
    """Fetch the wheel through pip, so that the machine's own index settings hold."""
    options = ["--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--quiet"]
    target = ["--implementation", "cp", "--python-version", engine.python_version, "--platform", "any"]
    abi = ["--abi", "cp310", "--abi", "none"]
    command = [sys.executable, "-m", "pip", "download", *options, *target, *abi, "-d", str(folder), engine.requirement]
    subprocess.run(command, check=True)
    return next(folder.glob("*.whl"))


def check_digest(wheel: Path, sha256: str) -> None:
    """Raise ValueError unless the file's SHA-256 is the recorded one."""
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != sha256:
        raise ValueError(f"{wheel.name} has SHA-256 {found}, expected {sha256}: not unpacked")


def unpack(wheel: Path, folders: tuple[str, ...], site_packages: Path) -> int:
    """Extract the files below the named top-level folders and return their number.

    The package's `__init__.py` comes last, so that an interrupted run does not leave a package that looks whole.
    """
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if _wanted(name, folders)]
        for name in sorted(names, key=lambda name: name == f"{folders[0]}/__init__.py"):
            archive.extract(name, site_packages)
    return len(names)


def _wanted(name: str, folders: tuple[str, ...]) -> bool:
    parts = PurePosixPath(name).parts
    return bool(parts) and parts[0] in folders and ".." not in parts


def main() -> int:
    """Install both engines into this interpreter's site-packages."""
    site_packages = Path(sysconfig.get_path("purelib"))
    for engine in (VISSL, DETECTRON2):
        try:
            print(install(engine, site_packages), flush=True)
        except (ValueError, OSError, subprocess.CalledProcessError) as error:
            print(f"error: {engine.package}: {error}", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
