"""XML from strangers, hostile kinds included."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data import safe_xml
from results.refusal import Refusal

BILLION_LAUGHS = (
    '<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><annotation>&c;</annotation>'
)
HOSTILE = {
    "entity expansion": BILLION_LAUGHS.encode(),
    "external entity": b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><annotation>&f;</annotation>',
    "external type": b'<!DOCTYPE x SYSTEM "http://localhost/x.dtd"><annotation/>',
    "in UTF-16": BILLION_LAUGHS.encode("utf-16"),
    "undeclared entity": b"<annotation>&secret;</annotation>",
    "deep nesting": b"<a>" * 100_000 + b"</a>" * 100_000,
    "too large": b"<a/>" + b" " * 2_000_000,
    "cut short": b"<annotation><object>",
    "empty": b"",
    "not XML": b"\x89PNG\r\n",
    "unknown encoding": b'<?xml version="1.0" encoding="rot13"?><a/>',
}


def test_ordinary_xml_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text("<annotation><size><width> 5 </width></size><object/><object/></annotation>")
    root = safe_xml.parse(path)
    assert root.tag == "annotation"
    assert root.findtext("size/width") == " 5 "
    assert len(root.findall("object")) == 2


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_or_broken_xml_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.xml"
    path.write_bytes(content)
    with pytest.raises(Refusal, match=r"bad\.xml"):
        safe_xml.parse(path)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"none\.xml: cannot be read"):
        safe_xml.parse(tmp_path / "none.xml")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text(alphabet="<>/!&;[]ab \"'=DOCTYPEN").map(str.encode))
def test_any_bytes_give_an_element_or_a_refusal(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.xml"
    path.write_bytes(content)
    try:
        assert isinstance(safe_xml.parse(path).tag, str)
    except Refusal as refusal:
        assert "any.xml" in str(refusal)
