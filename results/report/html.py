"""HTML built from elements: everything that is not markup already is escaped, so no record can write into the page."""

from html import escape

VOID = frozenset({"br", "hr", "img", "meta"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = Markup | str | None


def element(name: str, *children: Child, **attributes: str | float | None) -> Markup:
    """`<name ...>children</name>`; in attribute names a trailing "_" is dropped and an inner one becomes "-".

    An attribute that is None is left out.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_text(value), quote=True)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(children)}</{name}>")


def join(children: "tuple[Child, ...] | list[Markup] | list[Child]", between: str = "") -> Markup:
    """Children in a row; plain text among them is escaped."""
    return Markup(between.join(_escaped(child) for child in children if child is not None))


def _escaped(child: Child) -> str:
    if isinstance(child, Markup):
        return child
    return escape(str(child), quote=False)


def _text(value: str | float | None) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
