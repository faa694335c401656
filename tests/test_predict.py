"""One answer equals what the dataset and mmf_predict would have written down for the same record."""

import importlib.util
import json

import pytest
import torch
from task_checkpoint import ROOT, checkpoint

from mmf_visualbert.errors import InputError
from mmf_visualbert.features.store import FeatureStore
from mmf_visualbert.modules.batch import visual_bert_inputs
from mmf_visualbert.predict import Predictor, read_predictor
from mmf_visualbert.tasks.flickr30k.answer import bracketed


@torch.inference_mode()
def outputs(dataset, parts, head: str, index: int):
    batch = {name: value[None] for name, value in dataset[index].items()}
    return parts.heads[head](parts.visual_bert(*visual_bert_inputs(batch)), batch)


def test_answers_are_those_of_the_leaderboard_file(small_world, tmp_path):
    path, dataset, parts = checkpoint(small_world, "vqa2", "defaults", tmp_path)
    predictor = read_predictor(path)
    store, given = FeatureStore(small_world / "features/vqa2/val2014.lmdb"), set()
    for index in range(12):
        record = dataset.questions[index]
        output = outputs(dataset, parts, "visualbert_answer", index)
        (entry,) = dataset.predictions({"id": torch.tensor([index]), "scores": output.scores})
        replies = predictor(record.question, [store.read(record.image_name)], best=3)
        assert replies[0].answer == entry["answer"] and len(replies) == 3
        assert replies[0].probability >= replies[1].probability > 0
        given.add(replies[0].answer)
    assert len(given) > 1, "questions that all get the same answer would prove little"


def test_statements_about_two_images(small_world, tmp_path):
    path, dataset, parts = checkpoint(small_world, "nlvr2", "defaults", tmp_path)
    predictor = read_predictor(path)
    store = FeatureStore(small_world / "features/nlvr2/dev.lmdb")
    for index in range(6):
        example = dataset.examples[index]
        scores = outputs(dataset, parts, "visualbert_pooled", index).scores
        replies = predictor(example.sentence, [store.read(image) for image in example.images])
        (entry,) = dataset.predictions({"id": torch.tensor([index]), "scores": scores})
        assert replies[0].answer == entry["prediction"]
        assert sum(reply.probability for reply in replies) == pytest.approx(1.0)
        torch.testing.assert_close(replies[0].probability, float(scores.softmax(-1).max()), atol=1e-5, rtol=0)


def test_phrases_in_brackets_get_regions(small_world, tmp_path):
    path, dataset, parts = checkpoint(small_world, "flickr30k", "defaults", tmp_path)
    predictor = read_predictor(path)
    store = FeatureStore(small_world / "features/flickr30k/val.lmdb")
    caption = dataset.captions[0]
    words = list(caption.words)
    for phrase in caption.phrases:
        words[phrase.first_word] = f"[{words[phrase.first_word]}"
        words[phrase.last_word] += "]"
    record = store.read(caption.image_id)
    replies = predictor(" ".join(words), [record], best=1)
    choices = outputs(dataset, parts, "visualbert_phrase_grounding", 0).phrase_choice[0]
    assert [int(reply.answer) for reply in replies] == choices[: len(caption.phrases)].tolist()
    assert [reply.about for reply in replies] == [phrase.text(caption.words) for phrase in caption.phrases]
    assert replies[0].box == pytest.approx(record.boxes[int(replies[0].answer)].tolist(), abs=0.06)


def test_masks_are_filled_in(small_world, tmp_path):
    path, _, _ = checkpoint(small_world, "vqa2", "pretrain_coco", tmp_path)
    predictor, store = read_predictor(path), FeatureStore(small_world / "features/vqa2/val2014.lmdb")
    image = store.read(next(store.keys()))
    replies = predictor("a [MASK] circle and a [MASK] star", [image], best=2)
    assert [reply.about for reply in replies] == ["[MASK] 1", "[MASK] 1", "[MASK] 2", "[MASK] 2"]
    with pytest.raises(InputError, match=r"has no \[MASK\]"):
        predictor("a red circle", [image])


def test_brackets():
    words, phrases = bracketed("[A man] in [a red shirt] waits .")
    assert words == ("A", "man", "in", "a", "red", "shirt", "waits", ".")
    assert [phrase.text(words) for phrase in phrases] == ["A man", "a red shirt"]
    assert bracketed("[dog]s")[1][0].text(("dog", "s")) == "dog"


@pytest.mark.parametrize("text", ["a man", "[a man", "a man] in [a shirt]", "[] a man", "[[a man]]"])
def test_brackets_that_mark_nothing(text):
    with pytest.raises(InputError, match=r"marks no phrase|no partner"):
        bracketed(text)


def command(arguments):
    spec = importlib.util.spec_from_file_location("predict_tool", ROOT / "tools" / "predict.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool.main(arguments)


def test_the_command(small_world, tmp_path, capsys):
    path, dataset, _ = checkpoint(small_world, "vqa2", "defaults", tmp_path)
    record = dataset.questions[0]
    arguments = ["--checkpoint", str(path), "--text", record.question, "--image", record.image_name]
    arguments += ["--features", str(small_world / "features/vqa2/val2014.lmdb"), "--best", "2"]
    assert command([*arguments, "--json"]) == 0
    assert [set(reply) for reply in json.loads(capsys.readouterr().out)] == [
        {"about", "answer", "probability", "box"}
    ] * 2
    assert command(arguments) == 0 and record.question in capsys.readouterr().out


def test_faults_are_one_sentence(small_world, tmp_path, capsys):
    path, dataset, _ = checkpoint(small_world, "vqa2", "defaults", tmp_path)
    image, features = dataset.questions[0].image_name, str(small_world / "features/vqa2/val2014.lmdb")
    bare = tmp_path / "bare.pth"
    torch.save({"model": {}}, bare)
    common = ["--text", "what ?", "--features", features]
    for arguments, says in (
        (["--checkpoint", str(path), "--image", "nothing", *common], "no features of the image 'nothing'"),
        (
            ["--checkpoint", str(path), "--image", image, image, image, *common],
            "reads a text with one image, and 3 are given",
        ),
        (["--checkpoint", str(bare), "--image", image, *common], "no checkpoint of a run of VisualBERT"),
        (["--checkpoint", str(tmp_path / "no.ckpt"), "--image", image, *common], "no.ckpt"),
    ):
        assert command(arguments) == 2
        told = capsys.readouterr().err
        assert says in told and told.count("\n") == 1


def test_a_model_without_an_answer_is_refused(small_world, tmp_path):
    _, dataset, parts = checkpoint(small_world, "vqa2", "defaults", tmp_path)
    with pytest.raises(InputError, match="needs a model with one of"):
        Predictor(parts._replace(heads={}), dataset.text, dataset.regions.processor)
