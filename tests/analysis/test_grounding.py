import csv

import numpy as np
import pytest
import torch
from grounding_world import SIZE, WORDS, D, model, world

from mmf_visualbert.analysis.grounding import EntityGrounding, ground_heads, table
from mmf_visualbert.datasets.regions import ImageRegions
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.store import FeatureStore, FeatureStoreWriter, RegionRecord, StoreInfo
from mmf_visualbert.modules.batch import visual_bert_inputs
from mmf_visualbert.processors.regions import RegionFeatures
from mmf_visualbert.processors.text import TextAssembler, WordPieceTokenizer
from mmf_visualbert.tasks.flickr30k.annotations import ImageAnnotation, Phrase
from mmf_visualbert.tasks.flickr30k.dataset import Flickr30k
from mmf_visualbert.tasks.flickr30k.records import Caption


def one_by_one(visual_bert, dataset):
    """The same numbers with plain loops, one caption at a time."""
    visual_bert.eval()
    hits, masses, total, read = {}, {}, 0, 0
    for index in range(len(dataset)):
        sample = dataset[index]
        with torch.no_grad():
            encoded = visual_bert(*visual_bert_inputs({k: v[None] for k, v in sample.items()}), output_attentions=True)
        pieces = int(sample["text_mask"].sum())
        for phrase in range(int(sample["phrase_mask"].sum())):
            total += 1
            position = int(sample["phrase_positions"][phrase])
            read += position >= 0
            for layer, weights in enumerate(encoded.attentions, start=1):
                for head in range(weights.shape[1]):
                    if position < 0 or weights.shape[-1] == pieces:
                        continue
                    row = weights[0, head, position, pieces:].tolist()
                    matches = sample["phrase_targets"][phrase].tolist()
                    hits[layer, head] = hits.get((layer, head), 0) + matches[row.index(max(row))]
                    masses[layer, head] = masses.get((layer, head), 0) + sum(row)
    return {key: n / total for key, n in hits.items()}, {key: m / read for key, m in masses.items()}


@pytest.mark.parametrize(("fusion", "layers"), [("early", (1, 2)), ("late", (3,))])
@pytest.mark.parametrize("max_seq_length", [12, 8])
def test_heads_are_measured_as_by_plain_loops(tmp_path, fusion, layers, max_seq_length):
    dataset, visual_bert = world(tmp_path / "s.lmdb", max_seq_length=max_seq_length), model(fusion)
    result = ground_heads(visual_bert, dataset, batch_size=4)
    accuracy, mass = one_by_one(visual_bert, dataset)
    assert result.layers == layers and result.accuracy.shape == (len(layers), 4)
    for row, layer in enumerate(layers):
        for head in range(4):
            assert result.accuracy[row, head] == pytest.approx(accuracy[layer, head])
            assert result.attention_to_regions[row, head] == pytest.approx(mass[layer, head], abs=1e-5)
    assert (result.accuracy > 0).any() and (result.accuracy <= result.upper_bound).all() and result.upper_bound < 1
    assert (result.cut > 0) == (max_seq_length == 8)


def test_baseline_is_the_most_confident_region(tmp_path):
    dataset = world(tmp_path / "s.lmdb")
    result = ground_heads(model(), dataset)
    hits = total = 0
    for index, caption in enumerate(dataset.captions):
        scores = dataset.regions.record(caption.image_id).scores.tolist()
        for row in dataset[index]["phrase_targets"][: len(caption.phrases)].tolist():
            hits, total = hits + row[scores.index(max(scores))], total + 1
    assert result.phrases == total and 0 < hits
    assert result.baseline == pytest.approx(hits / total)
    assert ground_heads(model(), world(tmp_path / "t.lmdb", scores=False)).baseline is None


def test_the_limit_is_kept(tmp_path):
    dataset = world(tmp_path / "s.lmdb")
    result = ground_heads(model(), dataset, limit=5)
    assert result.phrases == sum(len(caption.phrases) for caption in dataset.captions[:5])


def test_a_head_that_compares_a_word_with_the_regions_is_found(tmp_path):
    things = ("man", "dog", "cat")
    annotations = {"0": ImageAnnotation(SIZE, SIZE, {}, frozenset())}
    boxes = np.array([[30 * k, 0, 30 * k + 25, 50] for k in range(3)], np.float32)
    shown = [2, 0, 1]
    for k, thing in enumerate(shown):
        annotations["0"].boxes[thing + 1] = boxes[k : k + 1]
    with FeatureStoreWriter(tmp_path / "s.lmdb", StoreInfo("test", D, 3)) as writer:
        writer.add("0", RegionRecord(np.eye(D, dtype=np.float16)[shown], boxes, SIZE, SIZE))
    tokenizer = WordPieceTokenizer({word: index for index, word in enumerate(WORDS)})
    words = ("a", "dog", "and", "a", "man", "with", "a", "cat")
    phrases = (Phrase(2, ("other",), 0, 1), Phrase(1, ("other",), 3, 4), Phrase(3, ("other",), 6, 7))
    regions = ImageRegions(FeatureStore(str(tmp_path / "s.lmdb")), RegionFeatures(5, D))
    dataset = Flickr30k(
        [Caption("0", 1, words, phrases)], annotations, regions, TextAssembler(tokenizer, 12), max_phrases=3
    )

    visual_bert = model()
    patterns = torch.tensor([[1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]]).repeat(1, 4).float()
    with torch.no_grad():
        for parameter in visual_bert.embeddings.parameters():
            parameter.zero_()
        visual_bert.embeddings.LayerNorm.weight.fill_(1)
        for k, thing in enumerate(things):
            visual_bert.embeddings.word_embeddings.weight[WORDS.index(thing)] = patterns[k]
            visual_bert.embeddings.visual_projection.weight[:, k] = patterns[k]
        attention = visual_bert.encoder.layer[0].attention.self
        attention.query.weight.zero_()
        attention.query.weight[4:8, 4:8] = torch.eye(4)  # head 2 of 4 looks for the same, the others for nothing
        attention.key.weight.copy_(attention.query.weight)
    result = ground_heads(visual_bert, dataset)
    assert result.best(1)[0][:2] == (1, 2)
    assert result.accuracy[0].tolist() == [1 / 3, 1, 1 / 3, 1 / 3]


def test_csv_and_table(tmp_path):
    result = EntityGrounding(
        layers=(1, 2),
        accuracy=torch.tensor([[0.1, 0.5], [0.3, 0.2]]),
        attention_to_regions=torch.tensor([[0.5, 0.1], [0.2, 0.9]]),
        phrases=10,
        cut=1,
        upper_bound=0.8,
        baseline=None,
    )
    assert [(head.layer, head.head) for head in result.best(3)] == [(1, 2), (2, 1), (2, 2)]
    result.write_csv(tmp_path / "heads.csv")
    rows = list(csv.DictReader((tmp_path / "heads.csv").open()))
    assert [(row["layer"], row["head"], row["active"]) for row in rows] == [
        ("1", "1", "1"),
        ("1", "2", "0"),
        ("2", "1", "1"),
        ("2", "2", "1"),
    ]
    assert float(rows[1]["accuracy"]) == 0.5 and float(rows[1]["attention_to_regions"]) == pytest.approx(0.1)
    assert [path.name for path in tmp_path.iterdir()] == ["heads.csv"]
    text = table(result, result.best(1))
    assert "10 (1 cut off)" in text and "80.00" in text and "no confidences" in text
    assert "    1    2     50.00    10.0 % *" in text


def test_a_dataset_that_masks_is_refused(tmp_path):
    with pytest.raises(InputError, match="leave masking_processor out"):
        ground_heads(model(), world(tmp_path / "s.lmdb", masking=True))
