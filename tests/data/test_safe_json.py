"""JSON from strangers."""

from pathlib import Path

import pytest

from data import safe_json
from results.refusal import Refusal


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b"5", b"\xff\xfe", b"[" * 100_000, b'{"a": ' * 100_000], ids=range(7)
)
def test_what_is_not_a_json_object_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(Refusal, match=r"bad\.json"):
        safe_json.read_object(path)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"none\.json does not exist"):
        safe_json.read_object(tmp_path / "none.json")


@pytest.mark.parametrize("value", [None, 5, {"a": 1}, [1], ["a"], [{}, None]])
def test_what_is_not_a_list_of_objects_is_refused(value: object) -> None:
    with pytest.raises(Refusal, match="'images' is not a list of objects"):
        safe_json.objects({"images": value}, "images", Path("x.json"))


@pytest.mark.parametrize("value", [None, "5", 5.0, True, [5], float("nan")])
def test_what_is_not_a_whole_number_is_refused(value: object) -> None:
    with pytest.raises(Refusal, match=r"'id' is .*, expected a whole number"):
        safe_json.integer({"id": value}, "id", Path("x.json"))
