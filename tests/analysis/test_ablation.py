"""Ablation and foils: worked out by hand on a model whose attention is written down; files of pairs; commands."""

import json

import numpy as np
import pytest
import torch
from grounding_world import SIZE
from task_checkpoint import ROOT, checkpoint
from torch import nn

from mmf_visualbert.analysis.ablation import ablate, masked_phrases, table
from mmf_visualbert.analysis.foils import judge_foils, read_pairs
from mmf_visualbert.cli import main
from mmf_visualbert.datasets.regions import ImageRegions
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.store import FeatureStore, FeatureStoreWriter, RegionRecord, StoreInfo
from mmf_visualbert.modules.heads.masked_lm import MaskedLMHead
from mmf_visualbert.modules.heads.sentence_image import SentenceImageHead
from mmf_visualbert.modules.inputs import Encoded
from mmf_visualbert.modules.parts import ModelParts
from mmf_visualbert.processors.regions import RegionFeatures
from mmf_visualbert.processors.text import TextAssembler, WordPieceTokenizer
from mmf_visualbert.runs import LoadedModel
from mmf_visualbert.tasks.flickr30k.annotations import ImageAnnotation, Phrase
from mmf_visualbert.tasks.flickr30k.dataset import Flickr30k
from mmf_visualbert.tasks.flickr30k.records import Caption

CONFIG = ROOT / "projects" / "visualbert" / "configs" / "flickr30k" / "defaults.yaml"
WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] a man dog cat with".split()
H = len(WORDS)
MAN, DOG, CAT = (WORDS.index(word) for word in ("man", "dog", "cat"))


class SetByHand(nn.Module):
    """Every word looks at all regions and becomes their sum; the pooled state says how often words name a region."""

    def __init__(self):
        super().__init__()
        self.embeddings = nn.Module()
        self.embeddings.word_embeddings = nn.Embedding.from_pretrained(torch.eye(H))

    def forward(self, text, regions, last_layer_rows=None, output_attentions=False):
        seen = (regions.features.float() * regions.mask[..., None]).sum(1)  # (B, H)
        named = torch.eye(H)[text.input_ids] * text.mask[..., None]
        pooled = torch.zeros(len(seen), H)
        pooled[:, 0] = (named.sum(1)[:, 5:] * seen[:, 5:]).sum(1)
        states = seen[:, None].expand(-1, text.mask.shape[1], -1)
        return Encoded(states, states, text.mask, regions.mask, pooled=pooled)


@pytest.fixture
def by_hand(tmp_path):
    """A model with both heads of pre-training, and two captions of two images."""
    encoder = SetByHand()
    filling = MaskedLMHead(hidden_size=H, word_embeddings=encoder.embeddings.word_embeddings)
    judging = SentenceImageHead(hidden_size=H)
    with torch.no_grad():
        filling.transform.dense.weight.copy_(torch.eye(H))
        filling.transform.dense.bias.zero_()
        filling.bias[WORDS.index("a")] = 0.01  # what it says where it sees nothing
        judging.classifier.weight.zero_()
        judging.classifier.weight[1, 0] = 1
        judging.classifier.bias.copy_(torch.tensor([0.5, 0.0]))
    boxes = np.array([[0, 0, 20, 50], [30, 30, 60, 60]], np.float32)
    with FeatureStoreWriter(tmp_path / "s.lmdb", StoreInfo("test", H, 3)) as writer:
        for key, things in (("1", (2 * np.eye(H)[MAN], np.eye(H)[DOG])), ("2", (np.eye(H)[CAT], np.eye(H)[CAT]))):
            writer.add(key, RegionRecord(np.stack(things).astype(np.float16), boxes, SIZE, SIZE))
    regions = ImageRegions(FeatureStore(str(tmp_path / "s.lmdb")), RegionFeatures(3, H))
    text = TextAssembler(WordPieceTokenizer({word: i for i, word in enumerate(WORDS)}), 12)
    annotation = ImageAnnotation(SIZE, SIZE, {1: boxes[:1], 2: boxes[1:]}, frozenset())
    phrases = (Phrase(1, ("people",), 1, 1), Phrase(2, ("animals",), 4, 4))
    captions = [
        Caption("1", 1, ("a", "man", "with", "a", "dog"), phrases),
        Caption("2", 1, ("a", "dog"), (Phrase(1, ("animals",), 1, 1),)),
    ]
    dataset = Flickr30k(captions, {"1": annotation, "2": annotation}, regions, text, max_phrases=2)
    parts = ModelParts(encoder, None, {"visualbert_masked_lm": filling, "visualbert_sentence_image": judging}, "fp32")
    return LoadedModel(parts, text, regions.processor), dataset


def test_shares_are_those_worked_out_by_hand(by_hand):
    """Three masked phrases: man and dog of the first image, dog of the second, which shows two cats.

    All regions: the man is twice as strong, so "man" is right and both dogs are wrong. Its own region: man and dog are
    right, the second image's dog is a cat. Others: wrong always. None: "a", wrong always.
    The first caption names man and dog, which its own image shows and the other does not; the second names a dog, which
    its own image does not show and the first does. Without the words of phrases nothing is named, which is a tie.
    """
    result = ablate(*by_hand, resamples=30)
    shares = {name: one.share for name, one in result.language.items()}
    assert shares == pytest.approx({"all": 1 / 3, "own": 2 / 3, "others": 0, "none": 0})
    assert result.language["all"].number == 3
    assert {name: one.ahead for name, one in result.from_vision.items()} == pytest.approx(
        {"all": 1 / 3, "own": 2 / 3, "others": 0}
    )
    assert {name: one.share for name, one in result.vision.items()} == {
        "all": 0.5,
        "phrases masked": 0,
        "all masked": 0,
    }
    assert "  own              66.67" in table(result)


def test_only_the_words_of_the_phrase_are_masked(by_hand):
    model, dataset = by_hand
    man, dog = masked_phrases(model, dataset, 0)
    mask = model.text.tokenizer.mask_id
    assert (man[0]["input_ids"] == mask).nonzero().flatten().tolist() == [2]
    assert [one["region_mask"].tolist() for one in dog] == [
        [True, True, False],
        [False, True, False],
        [True, False, False],
        [False, False, False],
    ]
    assert dog[0]["masked_lm_labels"].max() == DOG and (dog[0]["masked_lm_labels"] >= 0).sum() == 1


def test_foils_are_those_worked_out_by_hand(by_hand, tmp_path):
    """The first image shows man (2) and dog (1), the second two cats; the head says yes from one name on."""
    model, dataset = by_hand
    pairs = [
        {"image": "1", "caption": "a man", "foil": "a cat", "kind": "noun"},  # 2 against 0: right, yes, no
        {"image": "1", "caption": "a dog", "foil": "a man", "kind": "noun"},  # 1 against 2: wrong, yes, yes
        {"image": "2", "caption": "a cat", "foil": "a cat with a cat", "kind": "number"},  # 2 against 4: wrong
        {"image": "2", "caption": "a dog", "foil": "a man", "kind": "number"},  # 0 against 0: a tie is wrong, no, no
        {"image": "gone", "caption": "a dog", "foil": "a man"},
    ]
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    result = judge_foils(model, dataset.regions.store, read_pairs(tmp_path / "p.jsonl"), resamples=20)
    assert result.missing == ["gone"]
    found = {one.kind: (one.pairs, one.pairwise, one.captions, one.foils) for one in result.found}
    assert found == {"all": (4, 0.25, 0.75, 0.5), "noun": (2, 0.5, 1.0, 0.5), "number": (2, 0.0, 0.5, 0.5)}


def test_valses_own_form_is_read(tmp_path):
    entry = {"image_file": "COCO_val2014_000000000042.jpg", "caption": "a cat", "foil": "no cat"}
    (tmp_path / "existence.json").write_text(json.dumps({"7": {**entry, "linguistic_phenomena": "existence"}}))
    (pair,) = read_pairs(tmp_path / "existence.json")
    assert pair[1:] == ("COCO_val2014_000000000042", "a cat", "no cat", "existence")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"image": "1", "caption": "a"}', "line 1 has no foil"),
        ('{"image": "1", "caption": "a", "foil": "a"}', "the same text as caption and foil"),
        ('{"caption": "a", "foil": "b"}', "line 1 has no image"),
    ],
)
def test_faulty_pairs(tmp_path, content, sentence):
    (tmp_path / "p.jsonl").write_text(content + "\n")
    with pytest.raises(InputError, match=sentence):
        read_pairs(tmp_path / "p.jsonl")


def test_the_commands(small_world, tmp_path, capsys):
    path, _, _ = checkpoint(small_world, "flickr30k", "pretrain_coco", tmp_path)
    own = [f"env.data_dir={small_world}", f"model_config.visualbert.tokenizer={small_world}/bert/vocab.txt"]
    own.append("model_config.visualbert.region_dimension=128")
    own += ["dataset_config.visualbert_flickr30k.processors.region_processor.params.dimension=128"]
    given = ["analyze", "ablation", "--config", str(CONFIG), "--checkpoint", str(path), "--limit", "10"]
    assert main.main([*given, "--resamples", "20", "--out", str(tmp_path / "a.csv"), *own]) == 0
    said = capsys.readouterr().out
    assert "words from regions" in said and "image from words" in said
    assert (tmp_path / "a.csv").read_text().count("\n") == 8
    image = (small_world / "flickr30k_entities/val.txt").read_text().split()[0]
    (tmp_path / "p.jsonl").write_text(json.dumps({"image": image, "caption": "a star", "foil": "a cross"}) + "\n")
    features = str(small_world / "features/flickr30k/val.lmdb")
    foils = ["analyze", "foils", "--pairs", str(tmp_path / "p.jsonl"), "--features", features]
    assert main.main([*foils, "--checkpoint", str(path), "--out", str(tmp_path / "f.csv")]) == 0
    assert "all                       1" in capsys.readouterr().out and (tmp_path / "f.csv").is_file()
    path, _, _ = checkpoint(small_world, "flickr30k", "defaults", tmp_path)
    assert main.main([*foils, "--checkpoint", str(path)]) == 2
    assert "foils need the head visualbert_sentence_image" in capsys.readouterr().err
    assert main.main([*given, *own]) == 2
    assert "ablation needs visualbert_masked_lm or visualbert_sentence_image" in capsys.readouterr().err
