"""Missing and broken files, found quickly and completely."""

from pathlib import Path

from PIL import Image

from data.checks import images
from data.finding import ImageFile


def picture(path: Path, size: tuple[int, int] = (6, 4)) -> Path:
    Image.new("RGB", size).save(path)
    return path


def test_missing_files_dangling_links_and_missing_folders_are_missing(tmp_path: Path) -> None:
    there = picture(tmp_path / "there.png")
    (tmp_path / "link.png").symlink_to(there)
    (tmp_path / "dangling.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "folder.png").mkdir()
    names = ["there.png", "link.png", "dangling.png", "folder.png", "none.png", "nowhere/none.png"]
    absent = images.missing([tmp_path / name for name in names])
    assert [path.name for path in absent] == ["dangling.png", "folder.png", "none.png", "none.png"]


def test_every_file_is_decoded_when_deep_whatever_the_number(tmp_path: Path) -> None:
    files = [ImageFile(picture(tmp_path / f"{number:03d}.png")) for number in range(131)]
    assert images.decode_check("val", files, deep=True).summary == "131 decoded (all)"
    for number in (0, 31, 32, 130):
        (tmp_path / f"{number:03d}.png").write_bytes(b"broken")
    [finding] = images.decode_check("val", files, deep=True).findings
    assert [path.stem for path in finding.files] == ["000", "031", "032", "130"]


def test_the_sample_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    files = [ImageFile(tmp_path / f"{number}.png") for number in range(1000)]
    drawn = [images._sample(files, seed) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(set(drawn[0])) == images.SAMPLE_PER_SPLIT


def test_a_size_other_than_the_annotation_s_is_told(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png", (6, 4))
    assert images.decode_error(ImageFile(path, (6, 4))) == ""
    assert "is 6 x 4, its annotation says 4 x 6" in images.decode_error(ImageFile(path, (4, 6)))
