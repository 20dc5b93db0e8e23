"""The 1 % and 10 % lists come from their publisher once, and nothing else is ever taken for them."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from data import label_lists
from data.label_lists import fetch_lists
from data.layouts import Layout, layout_of
from results.refusal import Refusal

LISTS = {"/lists/1percent.txt": b"n01440764_1.JPEG\n", "/lists/10percent.txt": b"n01440764_1.JPEG\nn01440764_2.JPEG\n"}


class Publisher(BaseHTTPRequestHandler):
    """Serves the two small lists, and remembers what was asked for."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        Publisher.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", str(len(LISTS[self.path])))
        self.end_headers()
        self.wfile.write(LISTS[self.path])

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def source() -> Iterator[str]:
    Publisher.asked.clear()
    with HTTPServer(("127.0.0.1", 0), Publisher) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/lists"
        server.shutdown()
        thread.join()


@pytest.fixture
def small_lists_are_the_published_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    def layout(name: str) -> Layout:
        found = layout_of(name)
        content = LISTS.get(f"/lists/{found.list_file}", b"")
        return replace(found, list_sha256=hashlib.sha256(content).hexdigest())

    monkeypatch.setattr(label_lists, "layout_of", layout)


@pytest.mark.usefixtures("small_lists_are_the_published_ones")
def test_both_lists_are_fetched_once_and_not_again(source: str, tmp_path: Path) -> None:
    assert fetch_lists(tmp_path, source) == [(tmp_path / "1percent.txt", True), (tmp_path / "10percent.txt", True)]
    assert [fetched for _, fetched in fetch_lists(tmp_path, source)] == [False, False]
    assert Publisher.asked == list(LISTS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["10percent.txt", "1percent.txt"]
    assert (tmp_path / "10percent.txt").read_bytes() == LISTS["/lists/10percent.txt"]


def test_what_has_not_the_published_digest_is_not_kept(source: str, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"gave 17 bytes that are not the published list; nothing was kept"):
        fetch_lists(tmp_path, source)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_that_name_with_other_content_is_left_alone_and_refused(source: str, tmp_path: Path) -> None:
    (tmp_path / "1percent.txt").write_text("my own list\n")
    with pytest.raises(Refusal, match=r"1percent\.txt is there and is not the published list"):
        fetch_lists(tmp_path, source)
    assert (tmp_path / "1percent.txt").read_text() == "my own list\n"
    assert Publisher.asked == []


def test_without_a_network_one_line_says_where_to_put_the_list(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"cannot be fetched.*put the file at .*1percent\.txt yourself"):
        fetch_lists(tmp_path, "http://127.0.0.1:9")


def test_a_folder_that_does_not_exist_is_refused_before_anything_is_asked_for(source: str, tmp_path: Path) -> None:
    with pytest.raises(Refusal):
        fetch_lists(tmp_path / "none", source)
    assert Publisher.asked == []
