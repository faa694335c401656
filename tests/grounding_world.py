"""Captions over images of a few regions, and a small model: what analyses of attention are tested on."""

import numpy as np

from mmf_visualbert.datasets.regions import ImageRegions
from mmf_visualbert.features.store import FeatureStore, FeatureStoreWriter, RegionRecord, StoreInfo
from mmf_visualbert.modules.build import build_visual_bert
from mmf_visualbert.processors.masking import MaskedLanguageModeling
from mmf_visualbert.processors.regions import RegionFeatures
from mmf_visualbert.processors.text import TextAssembler, WordPieceTokenizer
from mmf_visualbert.tasks.flickr30k.annotations import ImageAnnotation, Phrase
from mmf_visualbert.tasks.flickr30k.dataset import Flickr30k
from mmf_visualbert.tasks.flickr30k.records import Caption

D, SIZE = 8, 100
WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] a man dog cat and with in".split()


def world(path, captions=14, max_seq_length=12, scores=True, masking=False):
    """Captions of two or three phrases over images of 3 to 9 regions, some of them the phrases' own boxes."""
    generator = np.random.default_rng(1)
    tokenizer = WordPieceTokenizer({word: index for index, word in enumerate(WORDS)})
    records, annotations = [], {}
    with FeatureStoreWriter(path, StoreInfo("test", D, 100)) as writer:
        for number in range(captions):
            corners = generator.uniform(0, SIZE, (9, 2, 2))
            boxes = np.concatenate([corners.min(1), corners.max(1) + 0.1], 1).clip(0, SIZE).astype(np.float32)
            count = int(generator.integers(3, 10))
            confidence = generator.uniform(size=count).astype(np.float32) if scores else None
            features = generator.normal(size=(count, D)).astype(np.float16)
            writer.add(f"{number}", RegionRecord(features, boxes[:count], SIZE, SIZE, scores=confidence))
            gold = {chain: boxes[generator.integers(0, 9, 2)] for chain in (1, 2, 3)}
            annotations[f"{number}"] = ImageAnnotation(SIZE, SIZE, gold, frozenset())
            words = tuple(generator.permutation("a man and dog with cat in a a".split())[: 9 - number % 3].tolist())
            phrases = [
                Phrase(1, ("people",), 0, 1),
                Phrase(2, ("other",), 3, 3),
                Phrase(3, ("other",), 4, len(words) - 1),
            ]
            records.append(Caption(f"{number}", 1, words, tuple(phrases[: 2 + number % 2])))
    regions = ImageRegions(FeatureStore(str(path)), RegionFeatures(10, D))
    text = TextAssembler(tokenizer, max_seq_length)
    masked = MaskedLanguageModeling(tokenizer) if masking else None
    return Flickr30k(records, annotations, regions, text, masking=masked, max_phrases=4)


def model(fusion="early"):
    size = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 16}
    return build_visual_bert(
        region_dimension=D,
        random_init=True,
        fusion=fusion,
        pooler=False,
        vocab_size=20,
        max_position_embeddings=16,
        **size,
    )
