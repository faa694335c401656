"""Syntactic grounding: worked out by hand, on the sample world's own parses, and with parses that do not fit."""

import csv
import dataclasses

import numpy as np
import pytest
import torch
from grounding_world import SIZE, D
from task_checkpoint import ROOT, checkpoint

from mmf_visualbert.analysis.figures import figure_4
from mmf_visualbert.analysis.grounding import HeadAccuracies
from mmf_visualbert.analysis.parses import Parse, arcs_of, name_of, parse_with, read_parses
from mmf_visualbert.analysis.syntax import DEPENDENT, GOVERNOR, Relation, ground_syntax, table
from mmf_visualbert.cli import main
from mmf_visualbert.datasets.regions import ImageRegions
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.store import FeatureStore, FeatureStoreWriter, RegionRecord, StoreInfo
from mmf_visualbert.modules.inputs import Encoded
from mmf_visualbert.processors.regions import RegionFeatures
from mmf_visualbert.processors.text import TextAssembler, WordPieceTokenizer
from mmf_visualbert.tasks.flickr30k.annotations import ImageAnnotation, Phrase
from mmf_visualbert.tasks.flickr30k.dataset import Flickr30k
from mmf_visualbert.tasks.flickr30k.records import Caption

CONFIG = ROOT / "projects" / "visualbert" / "configs" / "flickr30k" / "defaults.yaml"
SENTENCE = ("A", "man", "walks", "a", "dog")
TREE = Parse(SENTENCE, (1, 2, -1, 4, 2), ("det", "nsubj", "root", "det", "dobj"))
MAN, DOG, SKY = 0, 1, 2
# What each of two heads looks at, by the word piece's position; [CLS] is 0.
LOOKS = ({1: MAN, 2: DOG, 3: MAN, 4: MAN, 5: DOG}, {1: SKY, 2: SKY, 3: DOG, 4: DOG, 5: MAN})


class SetByHand(torch.nn.Module):
    """One layer of two heads that look where they are told, with half of their attention."""

    def __init__(self):
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def forward(self, text, regions, output_attentions=False):
        words = int(text.mask.sum(1).max())
        count = int(regions.mask.sum(1).max())
        weights = torch.zeros(len(text.mask), 2, words + count, words + count)
        for head, looks in enumerate(LOOKS):
            for piece, region in looks.items():
                weights[:, head, piece, 0] = 0.5
                weights[:, head, piece, words + region] = 0.5
        states = torch.zeros(len(text.mask), words, 1)
        mask = regions.mask[:, :count]
        return Encoded(states, states, text.mask[:, :words], mask, attentions=(weights,))


@pytest.fixture
def dataset(tmp_path):
    """One caption, whose man and dog have boxes; the detector is surest of the sky."""
    boxes = np.array([[0, 0, 20, 50], [30, 30, 60, 60], [0, 0, 100, 10]], np.float32)
    scores = np.array([0.5, 0.4, 0.9], np.float32)
    with FeatureStoreWriter(tmp_path / "s.lmdb", StoreInfo("test", D, 3)) as writer:
        writer.add("7", RegionRecord(np.zeros((3, D), np.float16), boxes, SIZE, SIZE, scores=scores))
    vocabulary = {word: i for i, word in enumerate("[PAD] [UNK] [CLS] [SEP] [MASK] a man walks dog".split())}
    text = TextAssembler(WordPieceTokenizer(vocabulary), 12)
    annotations = {"7": ImageAnnotation(SIZE, SIZE, {1: boxes[:1], 2: boxes[1:2]}, frozenset())}
    caption = Caption("7", 1, SENTENCE, (Phrase(1, ("people",), 0, 1), Phrase(2, ("animals",), 3, 4)))
    regions = ImageRegions(FeatureStore(str(tmp_path / "s.lmdb")), RegionFeatures(5, D))
    return Flickr30k([caption], annotations, regions, text, max_phrases=3)


def test_accuracies_are_those_worked_out_by_hand(dataset):
    result = ground_syntax(SetByHand(), dataset, {"7#1": TREE}, resamples=20)
    accuracy = {relation: one.accuracy[0].tolist() for relation, one in result.found.items()}
    assert accuracy == {
        Relation("det", GOVERNOR): [0.5, 0.0],  # man looks at the dog and the sky, dog at the dog and the man
        Relation("det", DEPENDENT): [0.5, 0.5],  # the first a looks at man and sky, the second at man and dog
        Relation("nsubj", GOVERNOR): [1.0, 0.0],  # walks looks at man and dog
        Relation("dobj", GOVERNOR): [0.0, 1.0],
    }
    assert {relation: one.phrases for relation, one in result.found.items()} == {
        Relation("det", GOVERNOR): 2,
        Relation("det", DEPENDENT): 2,
        Relation("nsubj", GOVERNOR): 1,
        Relation("dobj", GOVERNOR): 1,
    }
    assert all(one.baseline == 0 and one.random == pytest.approx(1 / 3) for one in result.found.values())
    assert all((one.attention_to_regions == 0.5).all() for one in result.found.values())
    assert "nsubj          governor        1      1    1    100.00       0.00   33.33" in table(result)


def test_tokens_that_are_cut_otherwise_find_their_words():
    words = ("The", "man's", "(red)", "shirt", ".")
    forms = ("the", "man", "'s", "-LRB-", "red", "-RRB-", "shirt", ".")
    parse = Parse(forms, (1, 6, 1, 4, 6, 4, -1, 6), ("det", "poss", "case", "punct", "amod", "punct", "root", "punct"))
    arcs = arcs_of(parse, words)
    assert [(arc.dependent, arc.governor, arc.relation) for arc in arcs] == [
        ((0,), (1,), "det"),
        ((1,), (3,), "poss"),
        ((2,), (3,), "amod"),
        ((4,), (3,), "punct"),
    ]  # nothing between tokens of one word
    assert arcs_of(parse, ("The", "man's", "(red)", "coat", ".")) is None


def test_parses_that_do_not_fit_are_named_and_counted(dataset):
    other = dataset.captions[0]._replace(number=2)
    third = dataset.captions[0]._replace(number=3)
    dataset.captions = [dataset.captions[0], other, third]
    wrong = TREE._replace(forms=("A", "man", "walks", "a", "cat"))
    result = ground_syntax(SetByHand(), dataset, {"7#1": TREE, "7#2": wrong}, resamples=20)
    assert (result.captions, result.unlike, result.missing) == (1, ["7#2"], ["7#3"])
    assert "parse of another sentence  1, left out: 7#2" in table(result)
    with pytest.raises(InputError, match="no pair of words can be asked: 0 captions have no parse and 3 have one of"):
        ground_syntax(SetByHand(), dataset, {f"7#{number}": wrong for number in (1, 2, 3)})


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("1\tA\t_\t_\t_\t_\t0\troot\t_\t_\n", "sentence 1 has no name"),
        ("# sent_id = 7#1\n1\tA\t_\t_\t_\t_\t5\tdet\t_\t_\n", "the token 'A' has the governor 5, which is none"),
        ("# sent_id = 7#1\nsomething else\n", "sentence 1 .*is no CoNLL-U|governor None"),
        ("# sent_id = 7#1\n1\tA\t_\t_\t_\t_\t0\troot\t_\t_\n\n" * 2, "there is a parse of 7#1 already"),
        ("\n", "has no parse"),
    ],
)
def test_faulty_files_of_parses(tmp_path, content, sentence):
    (tmp_path / "p.conllu").write_text(content)
    with pytest.raises(InputError, match=sentence):
        read_parses([tmp_path / "p.conllu"])


def test_a_parser_that_is_not_there_is_said(dataset):
    for parser in ("spacy", "stanza"):
        with pytest.raises(InputError, match=r"pip install|has no model"):
            parse_with(parser, "xx_none", dataset.captions)


def test_spacys_parses_are_read_word_by_word(small_world, dataset, tmp_path):
    """A pipeline of spaCy on disk whose parser knows the sample world's sentences: no model has to be downloaded."""
    spacy = pytest.importorskip("spacy")
    known = read_parses([small_world / "flickr30k_entities/parses/val.conllu"])
    by_words = {parse.forms: parse for parse in known.values()}

    @spacy.language.Language.component("sample_world_parser")
    def parser(document):
        parse = by_words[tuple(token.text for token in document)]
        heads = [place if head < 0 else head for place, head in enumerate(parse.governors)]
        return spacy.tokens.Doc(
            document.vocab, words=list(parse.forms), heads=heads, deps=[each or "dep" for each in parse.relations]
        )

    pipeline = spacy.blank("en")
    pipeline.add_pipe("sample_world_parser")
    pipeline.to_disk(tmp_path / "en_sample_world")
    several = list(known.items())[:6]
    captions = [
        dataset.captions[0]._replace(image_id=name.split("#")[0], number=int(name.split("#")[1]), words=parse.forms)
        for name, parse in several
    ]
    assert parse_with("spacy", str(tmp_path / "en_sample_world"), captions) == dict(several)


def test_the_command_on_the_worlds_own_parses(small_world, tmp_path, capsys):
    path, dataset, _ = checkpoint(small_world, "flickr30k", "pretrain_task", tmp_path)
    parses = small_world / "flickr30k_entities/parses/val.conllu"
    assert {name_of(caption) for caption in dataset.captions} <= set(read_parses([parses]))
    arguments = ["analyze", "syntax", "--config", str(CONFIG), "--checkpoint", str(path), "--parses", str(parses)]
    arguments += ["--limit", "40", "--resamples", "50", f"env.data_dir={small_world}"]
    arguments += [f"model_config.visualbert.tokenizer={small_world}/bert/vocab.txt"]
    arguments += ["model_config.visualbert.region_dimension=128"]
    written = ["--out", str(tmp_path / "syntax.csv"), "--figure", str(tmp_path / "figure_4")]
    assert main.main([*arguments, *written]) == 0
    said = capsys.readouterr().out
    assert "captions parsed            40\n" in said and "nsubj          governor" in said
    rows = list(csv.DictReader((tmp_path / "syntax.csv").open()))
    assert {row["asked_at"] for row in rows} == {GOVERNOR, DEPENDENT} and len(rows) % 8 == 0
    assert (tmp_path / "figure_4.svg").stat().st_size > 1000 and (tmp_path / "figure_4.png").is_file()
    assert main.main([*arguments, "--figure", str(tmp_path / "f"), "--relations", "obl"]) == 2
    assert "these parses have none of obl; name some of" in capsys.readouterr().err


def test_panels_hold_what_lies_above_all_heads():
    """A baseline that is better than each head is drawn inside the axes, of both directions."""
    heads = HeadAccuracies((1, 2), torch.full((2, 3), 0.1), torch.full((2, 3), 0.5), 10, 0, 1.0, None)
    better = dataclasses.replace(heads, baseline=0.4, baseline_interval=(0.3, 0.5))
    figure = figure_4({"amod": (heads, better), "dobj": (None, None)})
    low, high = figure.axes[0].get_ylim()
    assert low == 0 and high >= 50 and figure.axes[1].get_yticks().size == 0
    assert len(figure.legends[0].get_texts()) == 4
