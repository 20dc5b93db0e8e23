"""The five formats of one comparison, and the paired bootstrap among them."""

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from results.against import duels
from results.compare import Comparison, compare
from results.counting import protocol_hashes
from results.formats import WIDTH, render
from results.records import Record, write_record
from results.refusal import Refusal
from results.tables import targets

Make = Callable[..., Record]


@pytest.fixture
def comparison(make_record: Make) -> Comparison:
    """Three seeds of VICReg, another method, a deviating record, and digits with their control."""
    records = [make_record(value=value, seed=seed) for seed, value in enumerate((73.1, 73.25, 73.3))]
    records.append(make_record(value=73.5, label="Barlow Twins"))
    records.append(make_record("table6/width_16384/top1", 12.0, deviations=("epochs: 100 -> 2 & more_",)))
    terms = {"corpus": "digits", "protocol": "linear-demo"}
    records += [make_record(value=97.8, **terms), make_record(value=23.0, label="random init", **terms)]
    return compare(records)


def test_the_terminal_shows_every_cell_within_100_columns(comparison: Comparison) -> None:
    text = render(comparison, "terminal")
    assert max(len(line) for line in text.splitlines()) <= WIDTH == 100
    row = next(line for line in text.splitlines() if line.strip().startswith("linear top1"))
    assert row.split() == [
        "linear", "top1", "73.2", "73.22", "3", "0.10", "72.96–73.48", "+0.02", "0.20", "✓", "within", "a"
    ]  # fmt: skip
    assert re.search(r"  Barlow Twins +73\.2 +73\.50 +1 +\+0\.30 +0\.20  ▲ above", text)
    assert "width_16384 top1: the later version prints 68.8; epochs: 100 -> 2" in text
    assert text.count("not run") >= 59
    digest = protocol_hashes()["linear"][:8]
    assert f"[a] VICReg: resnet50.pth (aaaaaaaaaaaa), protocol linear ({digest}), seeds 0, 1, 2" in text


def test_a_number_of_three_places_stands_on_one_line(make_record: Make) -> None:
    text = render(compare([make_record(value=100.0)]), "terminal")
    assert " 100.00 " in text


def test_digits_stand_apart_and_last(comparison: Comparison) -> None:
    text = render(comparison, "terminal")
    apart = text.index("not comparable with the paper")
    assert apart > text.index("Section 5: batch size")
    assert re.search(r"linear top1 +≥ 95, \+40 +97\.80 +1 +23\.0 +\+74\.8 +✓ within", text[apart:])


def test_markdown_is_a_table_for_each_of_the_papers_and_escapes_its_pipes(make_record: Make) -> None:
    record = make_record(deviations=("layer: a|b -> <i>c</i>",))
    text = render(compare([record]), "markdown")
    assert text.count("| --- |") >= 8
    assert r"a\|b -\> \<i\>c\</i\>" in text
    widths = {line.replace(r"\|", "").count("|") for line in text.splitlines() if line.startswith("|")}
    assert widths == {11}


def test_csv_has_a_row_for_every_line_and_reads_back(comparison: Comparison) -> None:
    rows = list(csv.DictReader(io.StringIO(render(comparison, "csv"))))
    assert len([row for row in rows if row["section"] == "paper"]) == len(targets()) + 1
    first = rows[0]
    assert (first["cell"], first["paper"], first["n"], first["verdict"]) == (
        "table1/linear/top1",
        "73.2",
        "3",
        "within",
    )
    assert float(first["ours"]) == pytest.approx(73.21667, abs=1e-4)
    (digits,) = [row for row in rows if row["section"] == "digits"]
    assert (digits["paper"], digits["control"], digits["expected"]) == ("", "23.0", "95.0")


def test_latex_escapes_what_latex_would_take_for_itself(comparison: Comparison) -> None:
    text = render(comparison, "latex")
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 9
    assert r"semi\_1pct top1" in text and r"95 \% CI" in text
    assert not re.search(r"(?<!\\)[_%#]", text.replace("&", ""))
    for line in text.splitlines():
        assert line.count("{") == line.count("}")


def test_json_holds_everything_and_is_valid(comparison: Comparison) -> None:
    document = json.loads(render(comparison, "json"))
    rows = [row for rows in document["tables"].values() for row in rows]
    assert len(rows) == 62 and len(document["digits"]) == 1 and len(document["tolerances"]) == 61
    assert "table1/linear/top1" not in document["missing"] and len(document["missing"]) == 60


def save(folder: Path, name: str, ranked: np.ndarray, labels: np.ndarray, **more: np.ndarray) -> dict[str, str]:
    """Keep predictions beside the records, as the evaluate room does."""
    (folder / "attachments").mkdir(exist_ok=True)
    np.savez_compressed(folder / "attachments" / name, ranked=ranked, labels=labels, **more)
    return {"predictions": f"attachments/{name}"}


@pytest.fixture
def kept(tmp_path: Path, make_record: Make) -> list[Record]:
    """VICReg right on 900 of 1000 images, at once or never; Barlow Twins on 800 at once and on all among its five."""
    labels = np.arange(1000) % 10
    good, worse = labels[:, None] + np.arange(5), labels[:, None] + np.arange(5)
    good, worse = good % 10, worse % 10
    good[labels == 0] += 100
    worse[labels <= 1] = worse[labels <= 1][:, ::-1]  # wrong at first, right among five
    mine, theirs = save(tmp_path, "v.npz", good, labels), save(tmp_path, "b.npz", worse, labels)
    top5 = "table1/linear/top5"
    return [
        make_record(value=90.0, attachments=mine, sample_count=1000),
        make_record(value=80.0, label="Barlow Twins", attachments=theirs, sample_count=1000),
        make_record(top5, 90.0, attachments=mine, sample_count=1000),
        make_record(top5, 100.0, label="Barlow Twins", attachments=theirs, sample_count=1000),
        make_record("table2/voc07/mAP", 86.0), make_record("table2/voc07/mAP", 85.0, label="Barlow Twins"),
    ]  # fmt: skip


def test_two_checkpoints_are_compared_image_by_image(tmp_path: Path, kept: list[Record]) -> None:
    found = {duel.cell: duel for duel in duels(kept, tmp_path, "Barlow Twins")}
    first = found["table1/linear/top1"].difference
    assert first is not None and first.difference == pytest.approx(10.0) and first.images == 1000
    assert first.interval[0] > 7 and first.interval[1] < 13 and first.p_value < 0.001
    fifth = found["table1/linear/top5"].difference
    assert fifth is not None and fifth.difference == pytest.approx(-10.0)
    assert found["table2/voc07/mAP"].reason == "no per-image predictions were kept"


def test_the_bootstrap_appears_in_every_format(tmp_path: Path, kept: list[Record]) -> None:
    comparison = compare(kept, (), duels(kept, tmp_path, "b" * 12))
    terminal = render(comparison, "terminal")
    assert "VICReg against Barlow Twins (bbbbbbbbbbbb): paired bootstrap over images" in terminal
    assert re.search(r"linear top1 +1000 +90\.00 +80\.00 +\+10\.00 .+ <\.001  ▲ higher", terminal)
    for form in ("markdown", "latex"):
        assert "paired bootstrap" in render(comparison, form)  # type: ignore[arg-type]
    assert json.loads(render(comparison, "json"))["against"][0]["theirs"] == 80.0
    assert "against,1,table1/linear/top1,Barlow Twins" in render(comparison, "csv")


@pytest.mark.parametrize("name", ["Byol", "bbb", "BARLOW"])
def test_an_unknown_checkpoint_to_compare_with_is_refused_with_those_there_are(
    tmp_path: Path, kept: list[Record], name: str
) -> None:
    with pytest.raises(Refusal, match="there are 'Barlow Twins'"):
        duels(kept, tmp_path, name)


def test_predictions_on_other_images_are_not_paired(tmp_path: Path, kept: list[Record], make_record: Make) -> None:
    labels = (np.arange(1000) + 1) % 10
    other = save(tmp_path, "o.npz", labels[:, None] + np.arange(5), labels)
    records = [kept[0], make_record(value=100.0, label="BYOL", attachments=other, sample_count=1000)]
    (duel,) = duels(records, tmp_path, "BYOL")
    assert duel.difference is None and "different images" in duel.reason


@pytest.mark.parametrize(("value", "images"), [(64.5, 1000), (80.0, 50_000)])
def test_predictions_that_do_not_give_their_records_number_are_not_paired(
    tmp_path: Path, kept: list[Record], make_record: Make, value: float, images: int
) -> None:
    other = {"predictions": "attachments/b.npz"}
    records = [kept[0], make_record(value=value, label="BYOL", attachments=other, sample_count=images)]
    (duel,) = duels(records, tmp_path, "BYOL")
    assert duel.difference is None and "b.npz gives 80.000 on 1000 images, its record" in duel.reason


@pytest.mark.parametrize(
    "arrays",
    [
        {"ranked": np.arange(9), "labels": np.arange(9)},
        {"prediction": np.array(3), "labels": np.arange(9)},
        {"ranked": np.zeros((9, 5), int), "labels": np.arange(4)},
        {"ranked": np.zeros((0, 5), int), "labels": np.arange(0)},
        {"correct": np.zeros((9, 2), bool)},
        {"ranked": np.zeros((9, 5)), "labels": np.arange(9)},
    ],
    ids=["flat", "single", "fewer labels", "none", "square", "fractions"],
)
def test_predictions_of_impossible_shapes_are_named(
    tmp_path: Path, kept: list[Record], arrays: dict[str, np.ndarray]
) -> None:
    np.savez(tmp_path / "attachments" / "b.npz", **arrays)
    found = duels(kept, tmp_path, "Barlow Twins")[0]
    assert found.difference is None and "b.npz does not hold predictions: " in found.reason


def test_a_damaged_predictions_file_is_named(tmp_path: Path, kept: list[Record]) -> None:
    (tmp_path / "attachments" / "b.npz").write_bytes(b"PK\x03\x04 broken")
    found = duels(kept, tmp_path, "Barlow Twins")[0]
    assert found.difference is None and "b.npz is not a readable npz file" in found.reason


def test_a_pickle_in_disguise_is_not_opened(tmp_path: Path, kept: list[Record]) -> None:
    np.savez(tmp_path / "attachments" / "b.npz", correct=np.array([{"a": 1}], dtype=object))
    found = duels(kept, tmp_path, "Barlow Twins")[0]
    assert found.difference is None and "is not a readable npz file" in found.reason


def test_records_survive_the_trip_through_files_into_the_comparison(tmp_path: Path, comparison: Comparison) -> None:
    from results.records import read_records

    written = [record for line in comparison.lines if line.group for record in line.group.records]
    for record in written:
        write_record(record, tmp_path)
    again = compare(read_records(tmp_path)[0])
    assert [line.verdict for line in again.lines] == [line.verdict for line in comparison.lines]
