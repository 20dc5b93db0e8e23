"""Files from strangers give a value or a refusal: nothing is run, and nothing outside their folder is touched.

Every fuzzer prints how many inputs it tried. Seeds are fixed; the long runs, ten times as many, are marked slow.
"""

import io
import json
import os
import pickle
import struct
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hostile import as_bytes, fuzz, mutated, mutated_json, nothing_but_reading
from hypothesis import given, settings
from hypothesis import strategies as st

from data import coco, inat, marker, places, voc
from data.layouts import layout_of
from data.listing import read_label_list
from environment import engines
from evaluate import job as evaluation
from evaluate.checkpoint import load_backbone
from evaluate.containers import read_tree
from evaluate.features import FeatureStore
from evaluate.journal import _keep_lines_until
from evaluate.predictions import Predictions, read_predictions, write_predictions
from pretrain.card import read_card, write_card
from pretrain.journal import read_metrics as read_pretraining_log
from results import predictions as paired
from results import sealed
from results.record import check_record
from results.records import (
    CheckpointIdentity,
    DatasetIdentity,
    Measurement,
    Record,
    _from_json,
    read_record,
    write_record,
)
from results.refusal import Refusal, printable
from results.report.page import write_report
from results.report.pretraining import find_runs
from transfer.engines import detectron2_progress
from transfer.engines.vissl_metrics import read_metrics as read_vissl_metrics
from transfer.run_folder import open_run_folder
from transfer.svm_files import ClassResult, SvmSettings, read_results, write_result

LENGTHS = [1, pytest.param(10, marks=pytest.mark.slow)]


@pytest.fixture
def announce(capfd: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Prints where it is seen."""

    def say(line: str) -> None:
        with capfd.disabled():
            print("\n" + line)

    return say


# --- checkpoints


def tensors() -> dict[str, Any]:
    return {"state_dict": {"conv1.weight": torch.randn(4, 3, 3, 3), "bn1.weight": torch.ones(4)}, "epoch": 7}


def torch_zip() -> bytes:
    buffer = io.BytesIO()
    torch.save(tensors(), buffer)
    return buffer.getvalue()


def torch_legacy() -> bytes:
    buffer = io.BytesIO()
    torch.save(tensors(), buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def safetensors() -> bytes:
    header = {
        "conv1.weight": {"dtype": "F32", "shape": [4, 3, 3, 3], "data_offsets": [0, 432]},
        "bn1.weight": {"dtype": "BF16", "shape": [4], "data_offsets": [432, 440]},
        "__metadata__": {"format": "pt"},
    }
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(440)


CHECKPOINTS: dict[str, Callable[[], bytes]] = {
    "torch zip": torch_zip, "torch legacy pickle": torch_legacy, "safetensors": safetensors,
}  # fmt: skip


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("container", CHECKPOINTS)
def test_a_mutated_checkpoint_is_read_or_refused(
    container: str, length: int, tmp_path: Path, announce: Callable[[str], None]
) -> None:
    random, path = np.random.default_rng(1), tmp_path / "weights.pth"
    content, others = CHECKPOINTS[container](), [make() for make in CHECKPOINTS.values()]
    inputs = (mutated(content, random, others) for _ in range(700 * length))
    fuzz(f"checkpoint import, {container}", path, inputs, lambda: read_tree(path), announce=announce)
    path.write_bytes(content)
    with pytest.raises(Refusal, match=r"weights\.pth"):
        load_backbone(str(path))


@pytest.mark.parametrize("length", LENGTHS)
def test_a_mutated_safetensors_header_is_read_or_refused(
    length: int, tmp_path: Path, announce: Callable[[str], None]
) -> None:
    random, path = np.random.default_rng(2), tmp_path / "weights.safetensors"
    content = safetensors()
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])

    def inputs() -> Iterator[bytes]:
        for _ in range(1500 * length):
            text = as_bytes(mutated_json(header, random))
            yield struct.pack("<Q", len(text)) + text + bytes(440)

    fuzz("safetensors header", path, inputs(), lambda: read_tree(path), announce=announce)


def evil(module: str, name: str, argument: str, protocol: int) -> bytes:
    """A pickle that calls module.name(argument) when it is loaded."""
    if protocol == 0:
        return f"c{module}\n{name}\n(V{argument}\ntR.".encode()

    def short(text: str) -> bytes:
        return b"\x8c" + bytes([len(text)]) + text.encode()

    called = short(module) + b"\x94" + short(name) + b"\x94\x93" if protocol == 4 else f"c{module}\n{name}\n".encode()
    return b"\x80" + bytes([protocol]) + called + short(argument) + b"\x85R."


def remembered(module: str, name: str, argument: str) -> bytes:
    """The same with both words taken from the memo, behind a harmless name that was said later."""
    words = b"".join(
        b"\x8c" + bytes([len(word)]) + word.encode() + b"\x940" for word in (module, name, "torch", "Size")
    )
    call = b"h\x00h\x01\x93\x8c" + bytes([len(argument)]) + argument.encode() + b"\x85R."
    return b"\x80\x04" + words + call


CALLS = {
    "os.system": ("os", "system"), "posix.system": ("posix", "system"), "eval": ("builtins", "eval"),
    "exec": ("builtins", "exec"), "getattr": ("builtins", "getattr"), "import": ("builtins", "__import__"),
    "subprocess": ("subprocess", "call"), "open": ("builtins", "open"), "torch.load": ("torch", "load"),
    "torch.hub": ("torch.hub", "load"), "torch's eval": ("torch.jit._script", "eval"),
    "torch's os": ("torch.serialization", "os.system"), "runpy": ("runpy", "run_path"),
    "torch jit": ("torch.jit", "load"), "numpy": ("numpy", "fromfile"), "collections": ("collections", "namedtuple"),
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
def test_no_pickle_is_ever_executed_however_it_is_packed(
    call: str, tmp_path: Path, announce: Callable[[str], None]
) -> None:
    module, name = CALLS[call]
    canary = tmp_path / "canary"
    argument = {
        "eval": f"open('{canary}', 'w')", "exec": f"open('{canary}', 'w')", "torch's eval": f"open('{canary}', 'w')",
        "open": str(tmp_path / "readable"),
    }.get(call, f"touch {canary}")  # fmt: skip
    pickles = [evil(module, name, argument, protocol) for protocol in (0, 2, 4)] + [remembered(module, name, argument)]
    tried = 0
    for index, attack in enumerate(pickles):
        for pack in (plain, zipped, zipped_second, legacy):
            path = tmp_path / f"{index}-{pack.__name__}.pth"
            path.write_bytes(pack(attack))
            tried += 1
            with pytest.raises(Refusal, match=path.name), nothing_but_reading(tmp_path):
                load_backbone(str(path))
            assert not canary.exists()
    announce(f"hostile files, pickles that would call {call}: {tried} inputs, none executed")


def plain(attack: bytes) -> bytes:
    return attack


def zipped(attack: bytes) -> bytes:
    """In the place of a torch file's own pickle."""
    return replaced(torch_zip(), {"data.pkl": attack})


def zipped_second(attack: bytes) -> bytes:
    """Beside the torch file's own pickle, under a second folder's name."""
    buffer = io.BytesIO(torch_zip())
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("other/data.pkl", attack)
        archive.writestr("other/version", "3\n")
    return replaced(buffer.getvalue(), {"archive/data.pkl": attack, "data.pkl": attack})


def replaced(content: bytes, members: dict[str, bytes]) -> bytes:
    """A zip file with the members of these endings exchanged."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(buffer, "w") as target:
        for item in source.infolist():
            new = next((body for end, body in members.items() if item.filename.endswith(end)), source.read(item))
            target.writestr(item.filename, new)
    return buffer.getvalue()


def legacy(attack: bytes) -> bytes:
    """In the place of the fourth of a legacy file's five pickles, which holds the object."""
    start = b"".join(pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))
    return start + attack + pickle.dumps([], 2)


def test_a_compressed_torch_file_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    # torch never compresses; 64 MiB of zeros in 64 kB could as well be 64 GiB.
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(io.BytesIO(torch_zip())) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bomb:
        for item in source.infolist():
            content = bytes(1 << 26) if item.filename.endswith("data/0") else source.read(item)
            bomb.writestr(item.filename, content, compress_type=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 200_000
    with pytest.raises(Refusal, match=r"bomb\.pth .*compressed"):
        load_backbone(str(path))


@pytest.mark.parametrize("pack", ["plain", "zipped", "legacy"])
def test_a_word_that_claims_to_be_longer_than_any_memory_is_refused(pack: str, tmp_path: Path) -> None:
    attack = b"\x80\x04\x8d" + struct.pack("<Q", 1 << 60) + b"torch"
    path = tmp_path / "long.pth"
    path.write_bytes({"plain": plain, "zipped": zipped, "legacy": legacy}[pack](attack))
    with pytest.raises(Refusal, match=r"long\.pth"):
        load_backbone(str(path))


# --- JSON that this suite or a data set's publisher writes


def record() -> Record:
    return Record(
        measurement=Measurement("table1/linear/top1", 73.2, 50_000, details={"heads": [{"lr": 0.02, "top1": 73.2}]}),
        checkpoint=CheckpointIdentity("a" * 64, "resnet50.pth", "VICReg"),
        dataset=DatasetIdentity("imagenet", "official", "fingerprint", {"train": 1_281_167, "val": 50_000}),
        protocol="linear", protocol_hash="h", protocol_settings={"epochs": 100}, deviations=("a: 1 -> 2",), seed=0,
        commit="0" * 40, versions={"python": "3.11"}, hardware="a processor", wall_time_seconds=1.0,
        command="python -m evaluate linear", created="2026-01-01T00:00:00.000+00:00", attachments={"log": "a/b.jsonl"},
    )  # fmt: skip


def annotations() -> dict[str, Any]:
    return {
        "images": [{"id": number, "file_name": f"train_val2018/a/{number}.jpg"} for number in (1, 2)],
        "annotations": [{"id": n, "image_id": n, "category_id": n, "bbox": [1, 2, 3, 4], "iscrowd": 0} for n in (1, 2)],
        "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "bicycle"}],
    }


def checked(content: dict[str, Any]) -> None:
    """What `read_record` does once the digest fits: a forger's record carries the right one."""
    try:
        check_record(_from_json(content))
    except (TypeError, KeyError, ValueError) as error:
        raise Refusal(str(error).splitlines()[0]) from error


def json_targets(root: Path) -> dict[str, tuple[Path, Any, Callable[[], Any]]]:
    """By name: the file, an honest content, and how it is read."""
    (root / "annotations").mkdir()
    honest = root / "honest"
    written = write_record(record(), honest)
    svm = SvmSettings(("cat",), (0.1,), 2, 2.0, 1.0, 1e-4, 100, 1e-5)
    write_result(root, svm, ClassResult("cat", 0.5, 1.0, [0.4]))
    outcome = evaluation.Outcome((Measurement("table1/linear/top1", 73.2, 9),), {}, 1.0)
    evaluation.write_outcome(root, outcome)
    (root / "w.pth").write_bytes(b"weights")
    write_card(root / "w.pth", {"label": "VICReg", "recipe": "paper", "settings": {"epochs": 3}})
    store = FeatureStore(root, 4, 4)
    store.write(0, np.zeros((4, 4), np.float32))
    digits = {"corpus": "digits", "seed": 0, "counts": {"coco": {"train": 1}}, "class_counts": {"coco": 10},
              "file_count": 3, "versions": {"numpy": "2"}}  # fmt: skip
    last_metrics = {"iteration": 5, "total_loss": 1.5, "eta_seconds": 3.0}
    epoch = {"train_phase_idx": 0, "test_accuracy_list_meter": {"top_1": {"res5": 4.0}, "top_5": {"res5": 8.0}}}
    point = {"step": 1, "epoch": 0.5, "loss": 3.0, "invariance": 1.0}
    below = root / "annotations" / "instances_val2017.json"
    lists = root / "inat"
    lists.mkdir()
    identity = root / "run" / "identity.json"
    identity.parent.mkdir()

    def reopened() -> None:
        with open_run_folder(identity.parent, {"protocol": "places205"}):
            pass

    def load(path: Path) -> Any:
        return json.loads(path.read_text(encoding="utf-8"))

    return {
        "record": (written, load(written), lambda: read_record(written)),
        "card": (root / "w.pth.json", load(root / "w.pth.json"), lambda: read_card(root / "w.pth")),
        "sealed file": (root / "s.json", {"a": [1, {"b": 2.5}]}, lambda: sealed.read_json(root / "s.json")),
        "outcome": (root / "result.json", load(root / "result.json"), lambda: evaluation.read_outcome(root)),
        "class of the SVMs": (
            root / "classes" / "cat.json", load(root / "classes" / "cat.json"), lambda: read_results(root, svm),
        ),
        "digest of a shard": (root / "00000.json", load(root / "00000.json"), lambda: store.is_intact(0)),
        "corpus marker": (root / "CORPUS.json", digits, lambda: marker.read_marker(root / "CORPUS.json")),
        "COCO JSON": (below, annotations(), lambda: inside(root, coco.image_paths(root, "val"))),
        "iNat JSON": (
            lists / "train2018.json", annotations(), lambda: inside(root, inat.read_split(lists, "train").paths),
        ),
        "pretraining log": (root / "log.jsonl", point, lambda: read_pretraining_log(root / "log.jsonl")),
        "log in the report": (root / "log.jsonl", point, lambda: find_runs(root)),
        "VISSL's metrics": (root / "metrics.json", epoch, lambda: read_vissl_metrics(root)),
        "Detectron2's metrics": (
            root / "metrics.jsonl", last_metrics, lambda: detectron2_progress.newest(root / "metrics.jsonl"),
        ),
        "identity of a run folder": (identity, {"protocol": "places205"}, lambda: reopened()),
    }  # fmt: skip


def inside(root: Path, paths: list[Path]) -> None:
    """No accepted file name leads out of the root."""
    assert all(Path(os.path.normpath(path)).is_relative_to(root) for path in paths), paths


JSON_TARGETS = (
    "record", "card", "sealed file", "outcome", "class of the SVMs", "digest of a shard", "corpus marker", "COCO JSON",
    "iNat JSON", "pretraining log", "log in the report", "VISSL's metrics", "Detectron2's metrics",
    "identity of a run folder",
)  # fmt: skip
WRITES = {"identity of a run folder"}


def resealed(content: Any) -> Any:
    """What a forger does after a change: the digest fits again."""
    if isinstance(content, dict) and "digest" in content:
        body = {key: value for key, value in content.items() if key != "digest"}
        try:
            return {**body, "digest": sealed._digest(body)}
        except ValueError:
            return content
    return content


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("name", JSON_TARGETS)
def test_mutated_json_is_read_or_refused(
    name: str, length: int, tmp_path: Path, announce: Callable[[str], None], capfd: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(3)
    path, honest, read = json_targets(tmp_path)[name]
    path.parent.mkdir(exist_ok=True)
    text = as_bytes(honest)

    def inputs() -> Iterator[bytes]:
        yield from (b"", b"\xff\xfe", b"[" * 50_000, b'{"a":' * 50_000, b"1" * 9_999, b"null", b"[]", b"{}", b'"x"')
        for _ in range(400 * length):
            yield as_bytes(resealed(mutated_json(honest, random)))
            yield mutated(text, random, [text, b'{"a": NaN}', b"\\ud800", b"1e999"])

    if name in WRITES:  # taking the folder's lock is its own business
        tried = 0
        for content in inputs():
            path.write_bytes(content)
            tried += 1
            try:
                read()
            except Refusal as refusal:
                assert len(str(refusal).splitlines()) == 1
        announce(f"hostile files, {name}: {tried} inputs")
    else:
        fuzz(name, path, inputs(), read, root=tmp_path, announce=announce)
    capfd.readouterr()


@pytest.mark.parametrize("length", LENGTHS)
def test_a_forged_record_with_a_fitting_digest_is_a_record_or_refused(
    length: int, tmp_path: Path, announce: Callable[[str], None]
) -> None:
    random, path = np.random.default_rng(4), write_record(record(), tmp_path)
    honest = json.loads(path.read_text())
    inputs = (as_bytes(resealed(mutated_json(honest, random))) for _ in range(1500 * length))

    def read() -> None:
        found = read_record(path)
        for name in found.attachments.values():
            inside(tmp_path, [tmp_path / name])

    fuzz("forged records", path, inputs, read, announce=announce)


# --- text and XML


XML = b"""<?xml version="1.0"?><annotation><folder>VOC2007</folder><filename>000001.jpg</filename>
<size><width>353</width><height>500</height><depth>3</depth></size><object><name>dog</name><pose>Left</pose>
<truncated>1</truncated><difficult>0</difficult><bndbox><xmin>48</xmin><ymin>240</ymin><xmax>195</xmax><ymax>371</ymax>
</bndbox></object></annotation>"""
XML_PIECES = [
    XML, b'<!DOCTYPE a [<!ENTITY x "y">]>', b'<!DOCTYPE a SYSTEM "http://localhost/x.dtd">',
    b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>', b"&x;", b"&#0;", b"&#x110000;", b"<![CDATA[x]]>",
    b'<?xml version="1.0" encoding="utf-7"?>', b'<?xml version="1.0" encoding="utf-16"?>', b"<name>../../x</name>",
    b"<xmin>1e999</xmin>", b"<xmin>nan</xmin>", b"<?php system('x'); ?>", b"<a " + b"b='c' " * 50 + b">",
    b"<width>" + b"9" * 5000 + b"</width>", b"<width>1e300</width>",
]  # fmt: skip


@pytest.mark.parametrize("length", LENGTHS)
def test_mutated_voc_xml_is_read_or_refused(length: int, tmp_path: Path, announce: Callable[[str], None]) -> None:
    random, path = np.random.default_rng(5), tmp_path / "000001.xml"
    inputs = (mutated(XML, random, XML_PIECES) for _ in range(1500 * length))
    fuzz("VOC XML", path, inputs, lambda: voc.read_annotation(path), announce=announce)


LINES = b"n01440764_10026.JPEG\nn01440764_10027.JPEG\nn01443537_7.JPEG\n"
TEXT_PIECES = [
    LINES, b"../../../etc/passwd", b"/etc/passwd 1", b"a/../../b.jpg 3", b"\0", b"\r\n", b" 1", b" -1", b"\xff",
    "\u2028".encode(), b"n1_\x00", b"..", b"~", b"con", b"x" * 5000, b"a/abbey/x.jpg 0", b"\xef\xbb\xbf",
]  # fmt: skip


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("kind", ["label list", "Places205 csv", "VOC image set", "VOC class file"])
def test_a_mutated_list_is_read_or_refused_and_names_nothing_outside(
    kind: str, length: int, tmp_path: Path, announce: Callable[[str], None]
) -> None:
    random = np.random.default_rng(6)
    (tmp_path / "CORPUS.json").write_text(
        json.dumps({"corpus": "digits", "seed": 0, "counts": {}, "class_counts": {}, "file_count": 0, "versions": {}})
    )
    layout, sets = layout_of("imagenet_1pct"), tmp_path / "ImageSets" / "Main"
    honest = {"label list": LINES, "Places205 csv": b"a/abbey/x.jpg 0\na/abbey/y.jpg 0\nb/bar/x.jpg 1\n",
              "VOC image set": b"000001\n000002\n", "VOC class file": b"000001 1\n000002 -1\n"}[kind]  # fmt: skip
    path = {
        "label list": tmp_path / layout.list_file, "Places205 csv": places.csv_path(tmp_path, "val"),
        "VOC image set": sets / "test.txt", "VOC class file": sets / "cat_test.txt",
    }[kind]  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)

    def read() -> None:
        if kind == "label list":
            names = read_label_list(tmp_path, layout)
            inside(tmp_path, [tmp_path / "train" / name.split("_", 1)[0] / name for name in names])
        elif kind == "Places205 csv":
            found = places.read_split(tmp_path, "val")
            inside(tmp_path, [image.path for image in found])
            inside(tmp_path, [tmp_path / "train" / image.class_name / image.path.name for image in found])
        elif kind == "VOC image set":
            inside(tmp_path, [voc.image_path(tmp_path, one) for one in voc.image_ids(tmp_path, "test")])
        else:
            inside(tmp_path, [voc.image_path(tmp_path, one) for one in voc.class_labels(tmp_path, "test", ["cat"])[0]])

    inputs = (mutated(honest, random, TEXT_PIECES) for _ in range(1500 * length))
    fuzz(kind, path, inputs, read, root=tmp_path, announce=announce)


# --- archives and arrays


PARTS = ["vissl", "..", ".", "", "/", "\\", "C:", "x", "configs", "~", "..\\..", "a\0b"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(st.sampled_from(PARTS), max_size=5).map("/".join).filter(bool), min_size=1, max_size=6))
def test_an_archive_is_unpacked_below_its_target_or_not_at_all(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    root = tmp_path_factory.mktemp("archive")
    wheel, target = root / "engine.whl", root / "deep" / "site-packages"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in {"vissl/__init__.py", *names}:
            archive.writestr(zipfile.ZipInfo(name), b"hostile")
    before = set(root.rglob("*"))
    with suppress(OSError, ValueError):  # a name that is a folder and a file at once
        engines.unpack(wheel, ("vissl", "configs"), target)
    new = [path for path in set(root.rglob("*")) - before if path.is_file()]
    assert all(path.is_relative_to(target / "vissl") or path.is_relative_to(target / "configs") for path in new), new


def test_a_link_in_an_archive_becomes_a_plain_file(tmp_path: Path) -> None:
    wheel, secret = tmp_path / "engine.whl", tmp_path / "secret"
    secret.write_text("secret")
    link = zipfile.ZipInfo("vissl/link.py")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("vissl/__init__.py", "")
        archive.writestr(link, str(secret))
    engines.unpack(wheel, ("vissl",), tmp_path / "target")
    found = tmp_path / "target" / "vissl" / "link.py"
    assert not found.is_symlink() and found.read_text() == str(secret)


@pytest.mark.parametrize("length", LENGTHS)
def test_mutated_predictions_are_read_or_refused(length: int, tmp_path: Path, announce: Callable[[str], None]) -> None:
    random, path = np.random.default_rng(7), tmp_path / "p.npz"
    write_predictions(path, Predictions(["a/1.jpg", "b/2.jpg"], np.array([0, 1]), np.array([[0, 1], [1, 0]])))
    honest = path.read_bytes()
    attached = Record(**{**vars(record()), "attachments": {"predictions": "p.npz"}})
    with_objects = io.BytesIO()
    np.savez(with_objects, labels=np.array([print], dtype=object), allow_pickle=True)

    def inputs() -> Iterator[bytes]:
        yield honest
        yield with_objects.getvalue()
        for _ in range(250 * length):
            yield mutated(honest, random, [honest, with_objects.getvalue()])

    fuzz("predictions", path, inputs(), lambda: read_predictions(path), announce=announce)
    fuzz("attached predictions", path, inputs(), lambda: paired.read_predictions(attached, tmp_path), announce=announce)


@pytest.mark.parametrize("length", LENGTHS)
def test_a_mutated_log_of_an_evaluation_keeps_what_can_be_read(
    length: int, tmp_path: Path, announce: Callable[[str], None]
) -> None:
    random, path = np.random.default_rng(8), tmp_path / "log.jsonl"
    honest = b'{"step": 1, "loss": 2.5}\n{"step": 2, "loss": null}\n'
    tried = 0
    for _ in range(300 * length):
        path.write_bytes(
            mutated(honest, random, [honest, b'{"step": [1]}', b"\xff\xfe", b'{"step": 1e999}', b"1" * 5000])
        )
        _keep_lines_until(path, 1)
        tried += 1
    announce(f"hostile files, log of an evaluation: {tried} inputs")


# --- the report


PAYLOADS = (
    "<script>alert(1)</script>", "</td></tr></table><h1>x</h1>", "<img src=x onerror=alert(1)>", "' onload='alert(1)",
    '" onfocus="alert(1)" autofocus="', "<svg/onload=alert(1)>", "</title><script>", "<!-- x", "]]><script>",
    "&lt;b&gt;", "<a href=javascript:alert(1)>x</a>", "</script><style>*{display:none}</style>", "\x00<b>",
    "<iframe src=//x></iframe>", "\u2028<b>\u202e", "{{7*7}}", "<b" + "b" * 300, "<meta http-equiv=refresh content=0>",
)  # fmt: skip


class Shape(HTMLParser):
    """Every element of a page with the names of its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: Counter[tuple[str, tuple[str, ...]]] = Counter()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements[tag, tuple(sorted(name for name, _ in attributes))] += 1


def report_of(folder: Path, word: str) -> Shape:
    """The report of a record, its predictions and a pretraining run that say `word` wherever they may."""
    (folder / "records").mkdir(parents=True)
    names = [f"{word}/{index}.jpg" for index in range(2)]
    answers = Predictions(names, np.array([0, 1]), np.array([[0, 1], [1, 0]]))
    write_predictions(folder / "records" / "attachments" / "p.npz", answers)
    # What a record shows on terminals must be printable to be a record at all; the rest may hold anything.
    shown = printable(word)
    words = dict.fromkeys(("hardware", "command", "commit"), word)
    hostile = Record(**{
        **vars(record()), **words, "protocol": shown, "deviations": (f"{shown}: 1 -> {shown}",),
        "versions": {word: word}, "checkpoint": CheckpointIdentity("a" * 64, shown, shown),
        "dataset": DatasetIdentity("imagenet", "official", word, {"val": 2}, shown),
        "measurement": Measurement("table1/linear/top1", 73.2, 2, details={word: word}),
        "attachments": {"predictions": "attachments/p.npz"},
    })  # fmt: skip
    write_record(hostile, folder / "records")
    run = folder / "runs" / word.replace("/", "\u2215").replace("\0", "")[:200]
    run.mkdir(parents=True)
    lines = [{"step": step, "epoch": step / 2, "loss": 1.0, "invariance": 1.0, word: 1.0} for step in range(3)]
    (run / "log.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return Shape(write_report(folder / "records", folder / "runs", folder / "report.html").read_text(encoding="utf-8"))


def test_whatever_a_record_a_run_or_a_class_is_called_the_page_has_the_same_elements(
    tmp_path: Path, announce: Callable[[str], None]
) -> None:
    plain_words = report_of(tmp_path / "plain", "word")
    for number, payload in enumerate(PAYLOADS):
        found = report_of(tmp_path / str(number), payload)
        assert found.elements == plain_words.elements, payload
    announce(f"hostile files, report: {len(PAYLOADS)} payloads in every text of a record, a run and a class; all text")
