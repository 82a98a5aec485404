"""Makes any text that a phone can send into plain words: the only form in which the lexicons look at it.

Nothing here decides. A text may hold anything (NUL, emoji, ten thousand letters, another script); it always comes out as
lower-case words, one blank between two, without accents, apostrophes and punctuation.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

#: A phone's "reaction" arrives as a text that quotes ours ("Liked “... Reply STOP to end”"): the person does not say that.
_REACTION = re.compile(
    r"^\s*(?:liked|loved|disliked|laughed at|emphasi[sz]ed|questioned|reacted .{1,12}? to|removed .{1,40} from"
    r"|le gusto|le encanto|se rio de)"
    r"\s*[\"'].*[\"']\s*$",
    re.DOTALL | re.IGNORECASE,
)
_QUOTED_LINE = re.compile(r"^\s*>.*$", re.MULTILINE)
_APOSTROPHE = re.compile(r"(?<=\w)'(?=\w)")
_NOT_WORD = re.compile(r"[^\w]|_")
_BLANKS = re.compile(r"\s+")
#: "s t o p", "K.M.S.": three single letters or more, one after the other, are one word spelt out.
_SPELT_OUT = re.compile(r"(?<!\S)(?:[a-z] ){2,}[a-z](?!\S)")
_LONG_RUN = re.compile(r"([a-z])\1{2,}")
_QUOTES = str.maketrans({"‘": "'", "’": "'", "ʼ": "'", "´": "'", "`": "'", "“": '"', "”": '"', "«": '"', "»": '"'})


@dataclass(frozen=True)
class Words:
    """A text as words. `forms` holds it as written and with long runs of a letter shortened ("killll", "stoppp")."""

    text: str
    forms: tuple[str, ...]

    @property
    def count(self) -> int:
        return len(self.text.split())


def words(text: str) -> Words:
    """The words of any text whatever; never raises. Full-width and keycap digits are digits; reactions lose what they quote."""
    plain = text.translate(_QUOTES)
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", plain))
    plain = "".join(_kept(letter) for letter in plain)
    if _REACTION.match(plain):
        return Words("", ("",))
    plain = _QUOTED_LINE.sub(" ", plain)
    plain = _APOSTROPHE.sub("", plain.casefold())
    plain = _BLANKS.sub(" ", _NOT_WORD.sub(" ", plain)).strip()
    plain = _SPELT_OUT.sub(lambda found: found.group().replace(" ", ""), plain)
    once, twice = _LONG_RUN.sub(r"\1", plain), _LONG_RUN.sub(r"\1\1", plain)
    return Words(plain, tuple(dict.fromkeys((plain, once, twice))))


def _kept(letter: str) -> str:
    """Accents, variation selectors and format marks join nothing; control characters part words."""
    category = unicodedata.category(letter)
    if letter == "\n" or category in ("Mn", "Me", "Cf"):
        return letter if letter == "\n" else ""
    return " " if category[0] == "C" else letter
