import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from evaluate import weights
from evaluate.download import download
from evaluate.weights import KNOWN_WEIGHTS, KnownWeights, cached_file, digest_file, resolve
from pretrain.card import write_card
from results.refusal import Refusal

CONTENT = bytes(range(256)) * 20_000  # 5 MB
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Publisher(BaseHTTPRequestHandler):
    """A server that knows ranges; `cut` ends the answer early, `asked` remembers each request's range."""

    cut: int | None = None
    asked: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        Publisher.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start : Publisher.cut or len(CONTENT)])

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def url() -> Iterator[str]:
    Publisher.cut, Publisher.asked = None, []
    with HTTPServer(("127.0.0.1", 0), Publisher) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/weights.pth"
        server.shutdown()
        thread.join()


def publish(monkeypatch: pytest.MonkeyPatch, url: str, sha256: str = SHA256, md5: str = "") -> None:
    monkeypatch.setitem(KNOWN_WEIGHTS, "some-weights", KnownWeights("Some", url, sha256=sha256, md5=md5))


def test_known_weights_are_fetched_once_and_then_resolved(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(monkeypatch, url)
    with pytest.raises(Refusal, match=r"python -m evaluate download some-weights.*put http"):
        resolve("some-weights")
    assert download("some-weights").read_bytes() == CONTENT
    download("some-weights")
    assert Publisher.asked == [None]
    found = resolve("some-weights")
    assert (found.sha256, found.label, found.origin) == (SHA256, "Some", url)


def test_an_interrupted_download_continues_where_it_stopped(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(monkeypatch, url)
    Publisher.cut = 3_000_000
    with pytest.raises(Refusal, match="again to continue"):
        download("some-weights")
    assert not cached_file("some-weights").exists()
    Publisher.cut = None
    assert download("some-weights").read_bytes() == CONTENT
    assert Publisher.asked[0] is None
    assert str(Publisher.asked[1]).startswith("bytes=") and Publisher.asked[1] != "bytes=0-"


@pytest.mark.parametrize("digests", [{"sha256": "00" * 32}, {"sha256": "", "md5": "abcdef01"}])
def test_a_file_with_another_digest_is_refused_and_put_aside(
    digests: dict[str, str], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(monkeypatch, url, **digests)
    with pytest.raises(Refusal, match="recorded is"):
        download("some-weights")
    assert not cached_file("some-weights").exists()


def test_weights_nobody_recorded_must_keep_the_digest_of_their_first_download(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(monkeypatch, url, sha256="")
    path = download("some-weights")
    assert resolve("some-weights").sha256 == SHA256
    path.write_bytes(CONTENT + b"!")
    with pytest.raises(Refusal, match="is not the recorded some-weights"):
        resolve("some-weights")


def test_without_network_one_line_says_where_to_put_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    publish(monkeypatch, "http://127.0.0.1:9/weights.pth")
    with pytest.raises(Refusal, match=r"cannot be fetched.*put the file at .*some-weights\.pth"):
        download("some-weights")


def test_every_known_file_is_published_over_https_and_named_for_a_row() -> None:
    assert {"vicreg-resnet50", "barlowtwins-resnet50", "swav-resnet50", "torchvision-supervised"} <= set(KNOWN_WEIGHTS)
    assert all(known.url.startswith("https://") and known.label for known in KNOWN_WEIGHTS.values())


def test_a_card_beside_the_file_names_the_row(tmp_path: Path) -> None:
    path = tmp_path / "resnet50.pth"
    path.write_bytes(b"weights")
    assert resolve(str(path)).label == weights.DEFAULT_LABEL
    (tmp_path / "resnet50.pth.json").write_text('{"label": "VICReg no variance", "recipe": "demo", "epoch": 12}')
    found = resolve(str(path))
    assert found.label == "VICReg no variance"
    assert "demo" in found.origin
    assert found.sha256 == hashlib.sha256(b"weights").hexdigest()
    (tmp_path / "resnet50.pth.json").write_text("[]")
    with pytest.raises(Refusal, match=r"resnet50\.pth\.json is damaged.*restore or delete it"):
        resolve(str(path))


def test_weights_that_are_not_those_their_card_describes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "resnet50.pth"
    path.write_bytes(b"weights")
    write_card(path, {"label": "VICReg", "epoch": 100})
    assert resolve(str(path)).label == "VICReg"
    path.write_bytes(b"weighus")  # one bit
    with pytest.raises(Refusal, match=r"resnet50\.pth is not the file its card describes .*restore it"):
        resolve(str(path))
    path.write_bytes(b"weights")
    card = tmp_path / "resnet50.pth.json"
    card.write_text(card.read_text().replace("100", "900"))
    with pytest.raises(Refusal, match=r"resnet50\.pth\.json was damaged or edited"):
        resolve(str(path))


def test_the_random_control_is_known_by_the_digest_of_its_name() -> None:
    found = resolve("random-init")
    assert (found.path, found.label) == (None, "random init")
    assert found.sha256 == hashlib.sha256(b"random-init").hexdigest()


def test_a_file_that_nothing_names_says_so_in_its_origin_and_on_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "resnet50.pth"
    path.write_bytes(b"weights")
    found = resolve(str(path))
    assert found.identity().origin.endswith("(no card and no label given: taken for VICReg)")
    assert found.identity("MoCo v2").origin == str(path)
    weights.say_if_assumed(found, "MoCo v2")
    assert not capsys.readouterr().err
    weights.say_if_assumed(found, "")
    assert capsys.readouterr().err.count("no card and no --run.label is given: taken for VICReg's") == 1


def test_published_weights_are_known_under_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(monkeypatch, "https://example.org/weights.pth")
    path = tmp_path / "mine.pth"
    path.write_bytes(CONTENT)
    found = resolve(str(path))
    assert (found.label, found.label_assumed) == ("Some", False)


def test_the_supervised_network_is_no_row_of_the_semi_supervised_columns() -> None:
    found = weights.ResolvedWeights(None, "0" * 64, "Supervised", "torchvision")
    assert found.identity(cell="table1/linear/top1").label == "Supervised"
    assert found.identity(cell="table1/semi_1pct/top1").label == "Supervised (all labels)"
    assert found.identity("mine", "table1/semi_10pct/top5").label == "mine"


def put_by_hand(monkeypatch: pytest.MonkeyPatch, **digests: str) -> Path:
    monkeypatch.setitem(KNOWN_WEIGHTS, "some-weights", KnownWeights("Some", "https://example.org/w.pth", **digests))
    path = cached_file("some-weights")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(CONTENT)
    return path


def test_a_file_put_by_hand_without_a_published_digest_is_warned_of_once_and_then_held_to_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = put_by_hand(monkeypatch)
    resolve("some-weights")
    assert "no published digest" in capsys.readouterr().err
    resolve("some-weights")
    assert not capsys.readouterr().err
    path.write_bytes(CONTENT + b"!")
    with pytest.raises(Refusal, match="is not the recorded some-weights"):
        resolve("some-weights")


def test_a_file_put_by_hand_has_the_published_md5(monkeypatch: pytest.MonkeyPatch) -> None:
    put_by_hand(monkeypatch, md5=hashlib.md5(CONTENT).hexdigest()[:8])
    assert resolve("some-weights").sha256 == SHA256
    digest_file(cached_file("some-weights")).unlink()
    put_by_hand(monkeypatch, md5="abcdef01")
    with pytest.raises(Refusal, match="is not the published some-weights"):
        resolve("some-weights")
