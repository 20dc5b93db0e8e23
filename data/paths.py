"""File names found inside other people's files: they may point below the data set's root and nowhere else."""

from pathlib import Path, PurePosixPath

from results.refusal import Refusal


def below(root: Path, name: object, source: Path) -> Path:
    """`root / name` for a relative name that stays below `root`.

    Symbolic links below the root are the user's own and are followed; what `source` says is not trusted.

    Raises:
        Refusal: `name` is not text, is empty or absolute, climbs with "..", or holds a NUL; the message names `source`.
    """
    if not isinstance(name, str) or not name or "\0" in name or "\\" in name:
        raise Refusal(f"{source}: {name!r} is not a file name; restore the published file")
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise Refusal(f"{source}: the file name {name!r} leaves the data set's folder; restore the published file")
    return root.joinpath(*pure.parts)


def existing_folder(path: Path, purpose: str) -> Path:
    """`path` when it is a folder.

    Raises:
        Refusal: it is missing or is not a folder; the message names it and what it is needed for.
    """
    if not path.is_dir():
        found = "is not a folder" if path.exists() else "does not exist"
        raise Refusal(f"{path} {found}; it is needed for {purpose}")
    return path
