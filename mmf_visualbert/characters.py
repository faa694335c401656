"""Half an emoji: one of the two 16-bit units of a character, as texts have it that were cut by such units."""

import re

_HALF = re.compile("[\ud800-\udfff]")


def whole_characters(text: str) -> str:
    """The text with its halves of characters put together, and U+FFFD where the other half is missing.

    That is Unicode's sign for a character that could not be read, and BERT's normalisation drops it. No tokenizer, key
    or file takes a half.
    """
    if not _HALF.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
