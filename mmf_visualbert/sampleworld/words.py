"""The words of the world: what its things are called, and the little grammar that the five annotation sets share."""

COLORS: dict[str, tuple[int, int, int]] = {
    "red": (214, 40, 40),
    "orange": (240, 140, 20),
    "yellow": (240, 222, 50),
    "green": (50, 160, 60),
    "blue": (40, 80, 205),
    "purple": (145, 50, 165),
}
"""Colour name -> its RGB before the jitter of a single thing."""

SHAPES: tuple[str, ...] = ("circle", "square", "triangle", "star", "cross")
SIZES: tuple[str, ...] = ("small", "large")
NUMBERS: tuple[str, ...] = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight")
OPPOSITES: dict[str, str] = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
"""Relation -> the relation seen from the other thing."""


def plural(noun: str) -> str:
    """`circle` -> `circles`, `cross` -> `crosses`."""
    return noun + ("es" if noun.endswith(("s", "x", "ch")) else "s")


def with_article(phrase: str) -> str:
    """`orange star` -> `an orange star`."""
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def counted(number: int, phrase: str) -> str:
    """`(2, "red star")` -> `two red stars`, `(1, "red star")` -> `a red star`."""
    return with_article(phrase) if number == 1 else f"{NUMBERS[number]} {plural(phrase)}"


def sentence(text: str) -> str:
    """`text` with a capital and a full stop."""
    return text[0].upper() + text[1:] + "."


def relation_words(relation: str) -> str:
    """`left of` -> `to the left of`; `above` and `below` stay."""
    return f"to the {relation}" if relation.endswith(" of") else relation
