"""docs/robustness.md says what is really said."""

from tests.docs.bad_inputs import CASES, PAGE, page, said


def test_the_page_is_what_is_said():
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: python -m tests.docs.bad_inputs"


def test_each_sentence_names_a_mend():
    for case in CASES:
        assert ";" in said(case) or "," in said(case), said(case)
