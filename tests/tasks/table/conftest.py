"""The parts that the sample world's tables are read with."""

import pytest

from mmf_visualbert import catalog


@pytest.fixture
def processors(small_world):
    vocabulary = str(small_world / "bert" / "vocab.txt")
    return {
        "text_processor": catalog.get("processor", "visualbert_text")(vocabulary, 64),
        "region_processor": catalog.get("processor", "visualbert_regions")(36, 128),
        "label_processor": catalog.get("processor", "visualbert_labels")(),
        "answer_processor": catalog.get("processor", "visualbert_answers")(),
        "masking_processor": None,
    }
