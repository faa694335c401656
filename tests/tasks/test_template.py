"""The template task is a folder to copy, and no task; `tests/docs/test_extending.py` copies and runs it."""

from mmf_visualbert import catalog


def test_the_template_itself_is_no_task():
    assert "template" not in catalog.tasks() and "visualbert_template" not in catalog.names("dataset")
