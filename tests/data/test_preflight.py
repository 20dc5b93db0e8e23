"""A long command looks before it leaps: what cannot work is refused, what is odd is said, and both can be skipped."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from data.corpus import identify
from data.preflight import look_first
from results.records import DatasetIdentity
from results.refusal import Refusal

IMAGENET = DatasetIdentity("imagenet", "digits", "0" * 64, {"train": 1437, "val": 360}, "")


def test_on_a_whole_corpus_nothing_is_said(
    digits_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("results.doctor.host_memory_gib", lambda: (64.0, 60.0))
    look_first("linear-demo", identify(digits_root / "imagenet", "imagenet"), digits_root / "imagenet", tmp_path)
    assert capsys.readouterr() == ("", "")


def test_an_annotation_that_cannot_be_read_is_refused_by_name(copy_digits: Callable[..., Path], tmp_path: Path) -> None:
    root = copy_digits("VOCdevkit") / "VOCdevkit"
    broken = sorted((root / "VOC2007" / "Annotations").iterdir())[0]
    broken.write_text("<annotation>")
    voc = DatasetIdentity("voc0712", "digits", "0" * 64, {}, "")
    with pytest.raises(Refusal, match=r"VOC2007 trainval XML.*data doctor --dataset voc0712.*--run.skip-doctor"):
        look_first("voc0712-demo", voc, root, tmp_path)


def test_a_box_outside_its_image_is_warned_of(
    copy_digits: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copy_digits("coco") / "coco"
    file = root / "annotations" / "instances_val2017.json"
    content = json.loads(file.read_text())
    content["annotations"][0]["bbox"] = [500, 500, 10, 10]
    file.write_text(json.dumps(content))
    look_first("coco-demo", DatasetIdentity("coco", "digits", "0" * 64, {}, ""), root, tmp_path)
    assert "! data: val boxes and masks: 1 boxes outside the image" in capsys.readouterr().err


def test_a_full_disk_is_refused(digits_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("results.doctor.free_disk_gib", lambda folder: 0.1)
    with pytest.raises(Refusal, match=r"0\.1 GiB free below .*skip-doctor"):
        look_first("linear-demo", IMAGENET, digits_root / "imagenet", tmp_path)


def test_weights_that_are_not_those_of_the_card_beside_them_are_refused(digits_root: Path, tmp_path: Path) -> None:
    weights = tmp_path / "resnet50.pth"
    weights.write_bytes(b"\x80 other weights")
    (tmp_path / "resnet50.pth.json").write_text(json.dumps({"sha256": "0" * 64}))
    with pytest.raises(Refusal, match="is not the file that its card"):
        look_first("linear-demo", IMAGENET, digits_root / "imagenet", tmp_path, str(weights))


def test_only_the_first_of_several_ranks_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    look_first("linear", IMAGENET, tmp_path / "none", tmp_path)
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(Refusal):
        look_first("linear", IMAGENET, tmp_path / "none", tmp_path)


@pytest.mark.parametrize(
    "words",
    [
        ("pretrain", "demo", "--run.data", "{root}", "--run.output", "{out}"),
        ("evaluate", "knn-demo", "--run.checkpoint", "random-init", "--run.data", "{root}", "--run.output", "{out}",
         "--run.records", "{out}/records"),
        ("transfer", "coco-demo", "--run.checkpoint", "random-init", "--run.data", "{coco}", "--run.output", "{out}",
         "--run.records", "{out}/records"),
    ],
    ids=lambda words: words[0],
)  # fmt: skip
def test_every_room_asks_before_it_works_and_not_when_told_to_skip(
    words: tuple[str, ...], digits_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Asked(Exception):  # noqa: N818 - not an error: it tells that the question was put
        pass

    class Began(Exception):  # noqa: N818
        pass

    def ask(*arguments: object) -> None:
        raise Asked

    def begin(*arguments: object, **named: object) -> None:
        raise Began

    places = {"root": digits_root / "imagenet", "coco": digits_root / "coco", "out": tmp_path}
    room = __import__(f"{words[0]}.__main__").__main__
    monkeypatch.setattr(f"{'pretrain.launch' if words[0] == 'pretrain' else words[0] + '.command'}.look_first", ask)
    monkeypatch.setattr("pretrain.distributed.joined_world", begin)
    monkeypatch.setattr("transfer.engines.detectron2.measure", begin)
    arguments = [word.format(**places) for word in words]
    for more, what in (([], Asked), (["--run.skip-doctor"], Began)):
        monkeypatch.setattr(sys, "argv", [*arguments, *more])
        with pytest.raises(what):
            room.main()
