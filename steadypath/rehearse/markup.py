"""HTML from nested calls. Text is escaped by being text: only what `tag` made is taken as it is."""

from __future__ import annotations

from html import escape

from steadypath.rehearse.words import legible

_VOID = frozenset({"meta", "br"})


class Html(str):
    """Finished markup."""

    __slots__ = ()


def tag(name: str, /, *content: str, **attributes: str) -> Html:
    """One element. A trailing underscore keeps an attribute apart from Python's words (`class_`), others are hyphens; ""
    leaves the attribute out."""
    written = "".join(f' {_attribute(key)}="{_text(value)}"' for key, value in attributes.items() if value)
    return Html(f"<{name}{written}>") if name in _VOID else Html(f"<{name}{written}>{together(*content)}</{name}>")


def together(*content: str) -> Html:
    """One after the other."""
    return Html("".join(each if isinstance(each, Html) else _text(each) for each in content))


def raw(own: str) -> Html:
    """Markup or a style sheet of ours; never of anybody's data."""
    return Html(own)


def _attribute(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _text(text: str) -> str:
    return escape(legible(text, keep="\n"), quote=True)
