"""The report: one file, nothing from outside, nothing a record says is believed to be HTML; looked at by a browser."""

import io
import json
import re
import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from results.knowledge import discrepancies
from results.predictions import Predictions
from results.records import Record, write_record
from results.report.axes import Scale, range_from_zero, round_ticks, short
from results.report.charts import MAX_POINTS, Series, line_chart, thinned
from results.report.closer import accuracy_by_class
from results.report.html import Markup, element
from results.report.page import write_report
from results.report.pictures import LARGEST_BYTES, small_picture
from results.report.pretraining import find_runs, read_log

Make = Callable[..., Record]
ATTACK = "<script>alert('x')</script>\"'&"
VOID = {"meta", "img", "br", "hr"}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page(HTMLParser):
    """Collects what a page refers to and checks that its elements nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: list[str] = []
        self.sources: list[str] = []
        self.ids: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        for key, value in attributes:
            if key in ("src", "href", "srcset", "action", "xlink:href", "data"):
                self.sources.append(value or "")
            if key == "id":
                self.ids.append(value or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag


def log_lines(steps: int, **changes: float) -> str:
    """A pretraining log as the pretrain room writes it, with an event and the first line's zero rate."""
    lines = [json.dumps({"step": 0, "event": "start", "ranks": 1})]
    for step in range(steps):
        point = {
            "step": step, "epoch": step / 10, "loss": 40 / (1 + step), "invariance": 0.3, "variance": 1 / (1 + step),
            "covariance": 0.5, "lr": 0.1, "grad_norm": 3.0, "representation_std_a": 0.4, "representation_std_b": 0.6,
            "embedding_std_a": 0.9, "embedding_std_b": 0.9, "representation_correlation": 0.02,
            "images_per_second": 0.0 if step == 0 else 250.0, "data_wait_share": 0.01, "peak_memory_bytes": 2**31,
        }  # fmt: skip
        lines.append(json.dumps({**point, **changes}))
    return "\n".join(lines) + "\n"


def picture(width: int = 60) -> bytes:
    """A small PNG."""
    buffer = io.BytesIO()
    Image.effect_noise((width, width), 60).convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path, make_record: Make) -> Path:
    """Records with every kind of attachment, hostile texts, and two pretraining runs."""
    records, attachments = tmp_path / "records", tmp_path / "records" / "attachments"
    attachments.mkdir(parents=True)
    labels = np.arange(40) % 4
    images = np.array([f"digit_{label}/{index}.JPEG".encode() for index, label in enumerate(labels)])
    ranked = np.stack([labels, (labels + 1) % 4], axis=1)
    np.savez(attachments / "p.npz", ranked=ranked, labels=labels, images=images)
    (attachments / "d.png").write_bytes(picture())
    digits = {"corpus": "digits", "protocol": "linear-demo"}
    curve = {"by_epoch": [60.0, 90.0, 97.8]}
    for seed, value in enumerate((73.1, 73.3)):
        write_record(make_record(value=value, seed=seed), records)
    kept = {"predictions": "attachments/p.npz"}
    write_record(make_record(value=97.8, **digits, attachments=kept, details=curve), records)
    write_record(make_record(value=23.0, label="random init", **digits), records)
    votes = [{"k": 20, "weights": "exp(cosine / 0.07)", "top1": 91.0}, {"k": 20, "weights": "equal", "top1": 90.0}]
    knn = {"corpus": "digits", "protocol": "knn-demo", "details": {"votes": votes}}
    write_record(make_record("table5/knn_20/top1", 91.0, **knn), records)
    shown = {"picture": "attachments/d.png"}
    write_record(
        make_record("table2/coco_det/AP", 31.0, protocol="coco-demo", corpus="digits", attachments=shown), records
    )
    write_record(
        make_record("table2/coco_seg/AP", 30.0, protocol="coco-demo", corpus="digits", attachments=shown), records
    )
    lost = {"picture": "attachments/lost.png"}
    hostile = make_record(
        label=ATTACK, value=50.0, deviations=(ATTACK,), attachments=lost, command=ATTACK, hardware=ATTACK
    )
    write_record(hostile, records)
    (records / "broken.json").write_text("{")
    for name, steps in (("pretrain", 40), ("other", 20)):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "log.jsonl").write_text(log_lines(steps))
    return tmp_path


@pytest.fixture
def report(folder: Path) -> Path:
    """The report written from that folder."""
    return write_report(folder / "records", folder / "runs", folder / "report.html")


def test_the_report_is_one_well_formed_file_that_refers_to_nothing_outside(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    page = Page(text)
    assert "script" not in page.names and "link" not in page.names and "iframe" not in page.names
    assert page.sources and all(source.startswith("data:image/") for source in page.sources)
    assert not re.search(r"url\(|@import|https?://", text)
    assert report.stat().st_size < 5_000_000


def test_every_section_is_there(report: Path) -> None:
    page = Page(report.read_text(encoding="utf-8"))
    assert page.ids == [
        "digits", "pretraining", "closer", "pictures", "paper", "by", "discrepancies", "provenance", "warnings"
    ]  # fmt: skip


def test_what_a_record_says_is_text_and_never_markup(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    assert "<script>" not in text and "alert('x')&lt;/script&gt;" in text


def test_verdicts_have_a_symbol_and_a_word_beside_their_colour(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    for badge in ("✓ within", "≠ deviates", "· not run"):
        assert f">{badge}</span>" in text


def test_a_picture_that_two_records_share_is_embedded_once(report: Path) -> None:
    assert report.read_text(encoding="utf-8").count("data:image/png;base64,") == 1


def test_what_could_not_be_used_is_listed(report: Path) -> None:
    warnings = report.read_text(encoding="utf-8").split('id="warnings"')[1]
    assert "broken.json: not a readable JSON record" in warnings and "lost.png: no picture to show" in warnings


def test_every_discrepancy_is_shown_with_its_choice(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    assert text.count('class="discrepancy"') == len(discrepancies()) == 28
    assert "12.5 per view" in text


def test_curves_of_two_runs_are_told_apart_by_dash_as_well_as_colour(report: Path) -> None:
    section = report.read_text(encoding="utf-8").split('id="pretraining"')[1].split("</section>")[0]
    assert section.count("<figure") == 11  # every panel but the accuracy while training, which no run logged
    assert section.count('stroke-dasharray="7 3"') == 12  # once in the legend and once in each panel
    assert "pretrain" in section and "other" in section


def test_an_empty_folder_gives_a_report_that_says_so(tmp_path: Path) -> None:
    text = write_report(tmp_path / "none", tmp_path / "none", tmp_path / "report.html").read_text(encoding="utf-8")
    assert "61 not run of 61 lines" in text and "No records yet." in text
    assert Page(text).ids == ["paper", "discrepancies", "provenance"]


def test_a_log_is_read_in_order_of_steps_with_the_last_word_on_each(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(log_lines(3) + "{torn\n" + '{"step": 1, "epoch": 0.1, "loss": 7}\n' + '{"event": "end"}\n[1]\n')
    points, bad = read_log(path)
    assert [point["step"] for point in points] == [0, 1, 2]
    assert points[1]["loss"] == 7.0 and bad == 2


def test_runs_are_found_below_a_folder_and_damaged_lines_are_told(tmp_path: Path) -> None:
    for name in ("a", "b/c"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "log.jsonl").write_text(log_lines(2) + ("oops\n" if name == "a" else ""))
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "log.jsonl").write_text("")
    (tmp_path / "probe").mkdir()
    (tmp_path / "probe" / "log.jsonl").write_text('{"step": 1, "epoch": 1.0, "loss": 2.0, "lr": 0.02}\n')
    runs, warnings = find_runs(tmp_path)
    assert {run.name for run in runs} == {"a", "b/c"}
    assert len(warnings) == 1 and "1 of its lines" in warnings[0]


def test_a_value_that_is_not_finite_is_left_out_of_a_curve(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text(log_lines(3).replace('"covariance": 0.5', '"covariance": NaN', 1))
    (run,), _ = find_runs(tmp_path)
    assert len(run.series(lambda point: point.get("covariance")).y) == 2


def test_elements_escape_what_is_not_markup() -> None:
    assert element("td", "a<b", Markup("<b>c</b>"), None, class_='x"y') == '<td class="x&quot;y">a&lt;b<b>c</b></td>'
    assert element("img", src="s", alt=None) == '<img src="s">'
    assert element("line", x1=1.0, stroke_width=0.126) == '<line x1="1" stroke-width="0.13"></line>'


def test_scales_and_ticks_are_round() -> None:
    scale = Scale(0.0, 10.0, 100.0, 0.0)
    assert (scale(0.0), scale(5.0), scale(10.0)) == (100.0, 50.0, 0.0)
    assert round_ticks(0.0, 10.6, 4) == [0.0, 5.0, 10.0]
    assert round_ticks(0.13, 0.47, 4) == pytest.approx([0.2, 0.3, 0.4])
    logarithmic = Scale(0.01, 100.0, 0.0, 4.0, logarithmic=True)
    assert logarithmic(1.0) == pytest.approx(2.0) and logarithmic.ticks() == pytest.approx([0.01, 0.1, 1, 10, 100])
    assert range_from_zero([2.0, 10.0]) == pytest.approx((0.0, 10.6))
    assert range_from_zero([0.0]) == (0.0, 1.0)
    assert [short(v) for v in (0.0, 12.345, 1234.0, 2.5e6, 1e-5)] == ["0", "12.3", "1.23k", "2.5M", "1e-5"]


def test_long_curves_are_thinned_to_means_that_keep_the_whole() -> None:
    x = tuple(float(i) for i in range(10_000))
    thin = thinned(Series("run", x, tuple(2 * value for value in x)))
    assert len(thin.x) == MAX_POINTS and thin.y == pytest.approx([2 * value for value in thin.x])
    assert sum(thin.x) / len(thin.x) == pytest.approx(sum(x) / len(x), rel=1e-3)


def test_a_chart_of_one_point_or_of_equal_values_is_still_a_chart() -> None:
    for series in (Series("one", (1.0,), (5.0,)), Series("flat", (0.0, 1.0), (0.0, 0.0))):
        text = line_chart("Title", [series], x_label="epoch")
        assert "nan" not in text and "inf" not in text
        Page(text)


def test_accuracy_by_class_is_counted_by_hand() -> None:
    predictions = Predictions(
        np.array([True, False, True, True]), np.array([0, 0, 1, 1]), [b"cat/1", b"cat/2", b"dog/1", b"dog/2"]
    )
    assert accuracy_by_class(predictions) == {"cat": 50.0, "dog": 100.0}
    assert accuracy_by_class(Predictions(np.array([True]), None, None)) is None


def test_a_large_picture_is_made_small_and_a_small_one_left_alone() -> None:
    small = picture(40)
    assert small_picture(small) == (small, "image/png")
    content, kind = small_picture(picture(1000))
    assert kind == "image/jpeg" and len(content) < LARGEST_BYTES * 2


def bomb() -> bytes:
    """A PNG of a few hundred bytes that would open to 100,000 x 100,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"0" * (LARGEST_BYTES + 1)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("content", [b"GIF89a", b"", b"<svg onload=alert(1)>", bomb()])
def test_what_is_no_small_png_or_jpeg_is_not_embedded(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        small_picture(content)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: the report was not opened in a browser")
@pytest.mark.parametrize("width", [1400, 400])
def test_a_real_browser_shows_it_without_a_complaint_or_a_sideways_scroll(
    report: Path, tmp_path: Path, width: int
) -> None:
    assert CHROMIUM is not None
    # The page has no script; a copy in a frame of that width (windows do not get narrower than 500) measures itself.
    tell = (
        "const left = document.querySelector('h1').getBoundingClientRect().left;"
        "parent.postMessage(document.documentElement.scrollWidth + ' of ' + innerWidth + ' from ' + left, '*')"
    )
    framed, frame = tmp_path / "framed.html", tmp_path / "frame.html"
    content = report.read_text(encoding="utf-8").replace("</body>", f"<script>{tell}</script></body>")
    framed.write_text(content, encoding="utf-8")
    hear = "window.onmessage = event => document.title = 'wide ' + event.data"
    frame.write_text(f"<script>{hear}</script><iframe src=framed.html width={width} height=900></iframe>")
    flags = [
        "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--enable-logging=stderr", "--v=0",
        f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1500,1000", "--virtual-time-budget=3000",
    ]  # fmt: skip
    done = subprocess.run(
        [CHROMIUM, *flags, "--dump-dom", frame.as_uri()], capture_output=True, text=True, timeout=60, check=True
    )
    assert "CONSOLE" not in done.stderr
    found = re.search(r"<title>wide (\d+) of (\d+) from ([\d.]+)</title>", done.stdout)
    assert found is not None
    assert width - 20 <= int(found[2]) <= width
    assert int(found[1]) <= int(found[2]) and float(found[3]) >= 14
