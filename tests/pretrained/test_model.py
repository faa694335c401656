"""A model from Python answers as the dataset's predictions do, and comes back from a folder as it was."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from task_checkpoint import checkpoint

from mmf_visualbert import VisualBERT
from mmf_visualbert.checkpoints.sources import BESIDE, DESCRIPTION
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.store import FeatureStore
from mmf_visualbert.predict import read_predictor

DEFAULTS = "defaults"


@pytest.fixture(scope="module")
def runs(small_world, tmp_path_factory):
    """A checkpoint of each phase that one answer can be had of, and its val dataset."""
    made = {}
    for task, phase in (
        ("vqa2", "defaults"),
        ("nlvr2", "defaults"),
        ("flickr30k", "defaults"),
        ("vqa2", "pretrain_coco"),
    ):
        folder = tmp_path_factory.mktemp(f"{task}_{phase}")
        path, dataset, _ = checkpoint(small_world, task, phase, folder)
        made[task if phase == DEFAULTS else phase] = (path, dataset)
    return made


@pytest.fixture(scope="module")
def vqa(runs, small_world):
    """The VQA model, some questions, and the regions of their images."""
    path, dataset = runs["vqa2"]
    store = FeatureStore(small_world / "features/vqa2/val2014.lmdb")
    records = [dataset.questions[index] for index in range(8)]
    return path, [one.question for one in records], [store.read(one.image_name).copy() for one in records]


def test_many_questions_get_the_answers_of_each_alone(vqa):
    path, questions, images = vqa
    model, predictor = VisualBERT.from_pretrained(path), read_predictor(path)
    together = model.answer(questions, images, best=3)
    for question, image, replies in zip(questions, images, together, strict=True):
        alone = predictor(question, [image], best=3)
        assert [reply.answer for reply in replies] == [reply.answer for reply in alone]
        assert [reply.probability for reply in replies] == pytest.approx(
            [reply.probability for reply in alone], abs=1e-5
        )
        assert model.answer(question, image, best=3)[0].answer == replies[0].answer
    assert len({replies[0].answer for replies in together}) > 1


@pytest.mark.parametrize("give", ["array", "tensor", "mapping"])
def test_regions_may_be_arrays(vqa, give):
    path, questions, images = vqa
    model = VisualBERT.from_pretrained(path)
    features = images[0].features.astype(np.float32)
    size = {"width": images[0].width, "height": images[0].height}
    given = {
        "array": features,
        "tensor": torch.from_numpy(features),
        "mapping": {
            "features": features,
            "boxes": images[0].boxes,
            **size,
        },
    }[give]
    assert model.answer(questions[0], given)[0].answer == model.answer(questions[0], images[0])[0].answer


def test_pairs_phrases_masks_and_captions(runs, small_world):
    judge, ground, fill = (
        VisualBERT.from_pretrained(runs[name][0]) for name in ("nlvr2", "flickr30k", "pretrain_coco")
    )
    pair = [
        FeatureStore(small_world / "features/nlvr2/dev.lmdb").read(key).copy()
        for key in runs["nlvr2"][1].examples[0].images
    ]
    replies = judge.judge(["Both images show a circle.", "It is red."], [pair, pair])
    assert [sum(reply.probability for reply in each) for each in replies] == pytest.approx([1, 1])
    assert {reply.answer for reply in replies[0]} == {"True", "False"}
    store = FeatureStore(small_world / "features/flickr30k/val.lmdb")
    image = store.read(next(iter(store.keys()))).copy()
    found = ground.ground("[a circle] above [a red square]", image)
    assert [reply.about for reply in found] == ["a circle", "a red square"]
    assert all(reply.box is not None and len(reply.box) == 4 for reply in found)
    scene = np.ones((5, 128), np.float32)
    assert [reply.about for reply in fill.fill("a [MASK] and a [MASK] .", scene, best=1)] == ["[MASK] 1", "[MASK] 2"]
    # One text has two masks and the other one: their logits are told apart.
    two, one = fill.fill(["a [MASK] and a [MASK] .", "the [MASK] ."], [scene, scene], best=1)
    assert len(two) == 2 and one[0].answer == fill.fill("the [MASK] .", scene, best=1)[0].answer
    true = fill.match("a red circle", scene)
    assert {reply.answer for reply in true} == {"True", "False"}


def test_an_encoding_says_what_stands_where(vqa):
    path, questions, images = vqa
    model = VisualBERT.from_pretrained(path)
    encoding = model.encode(questions[:3], images[:3], attentions=True, hidden_states=True)
    places, regions = encoding.text_mask.shape[1], encoding.region_mask.shape[1]
    assert encoding.text.shape == (3, places, 32) and encoding.regions.shape == (3, regions, 32)
    assert len(encoding.attentions) == 2 and encoding.attentions[0].shape[-2:] == (places + regions,) * 2
    assert len(encoding.hidden_states) == 3
    torch.testing.assert_close(encoding.attentions[0][0].sum(-1)[:, 0], torch.ones(4), atol=1e-5, rtol=0)
    for number, question in enumerate(questions[:3]):
        tokens, words = encoding.tokens[number], encoding.words[number]
        assert tokens[0] == "[CLS]" and tokens[-1] == "[SEP]" and words[0] is None and words[-1] is None
        assert len(tokens) == len(words) == int(encoding.text_mask[number].sum())
        for word, text in enumerate(question.split()):
            spelt = "".join(token.removeprefix("##") for token, of in zip(tokens, words, strict=True) if of == word)
            assert spelt == text.lower()
        alone = model.encode(question, images[number])
        length = len(tokens)
        torch.testing.assert_close(encoding.text[number, :length], alone.text[0, :length], atol=1e-5, rtol=0)
        assert encoding.boxes[number].shape == (len(images[number].features), 4)
    assert model.encode(questions[0]).regions.shape[1] == 0


@pytest.mark.parametrize("name", ["vqa2", "nlvr2", "flickr30k", "pretrain_coco"])
def test_a_saved_folder_is_the_same_model(runs, tmp_path, name):
    model = VisualBERT.from_pretrained(runs[name][0])
    folder = model.save_pretrained(tmp_path / "shared")
    again = VisualBERT.from_pretrained(folder)
    assert again.heads == model.heads and again.task is model.task
    for head, module in model.model.parts.heads.items():
        other = again.model.parts.heads[head].state_dict()
        for key, value in module.state_dict().items():
            assert torch.equal(other[key], value), (head, key)
    text, image = "a red circle", np.ones((3, 128), np.float32)
    if model.model.regions.geometry:
        image = {"features": image, "boxes": [[0, 0, 9, 9]] * 3, "width": 64, "height": 64}
    assert torch.equal(model.encode(text, image).text, again.encode(text, image).text)
    assert (folder / DESCRIPTION).is_file()
    with pytest.raises(InputError, match="exists already"):
        model.save_pretrained(folder)


def test_transformers_reads_the_folder_with_the_same_states(runs, tmp_path):
    from transformers import AutoTokenizer, VisualBertForQuestionAnswering

    model = VisualBERT.from_pretrained(runs["vqa2"][0])
    folder = model.save_pretrained(tmp_path / "shared")
    theirs = VisualBertForQuestionAnswering.from_pretrained(folder).eval()
    assert (
        AutoTokenizer.from_pretrained(folder).tokenize("A red circle?") == model.encode("A red circle?").tokens[0][1:-1]
    )
    ids = torch.tensor([[2, 7, 8, 9, 3]])
    features = torch.rand(1, 4, 128)
    with torch.inference_mode():
        states = theirs.visual_bert(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            visual_embeds=features,
            visual_attention_mask=torch.ones(1, 4),
            visual_token_type_ids=torch.zeros(1, 4, dtype=torch.long),
        ).last_hidden_state
    from mmf_visualbert.modules.inputs import RegionInputs, TextInputs

    text = TextInputs(ids, torch.ones_like(ids).bool(), torch.zeros_like(ids))
    regions = RegionInputs(features, torch.ones(1, 4).bool(), torch.zeros(1, 4, dtype=torch.long))
    with torch.inference_mode():
        ours = model.model.parts.visual_bert(text, regions)
    torch.testing.assert_close(torch.cat((ours.text, ours.regions), 1), states, atol=1e-5, rtol=0)
    label = model.model.parts.heads["visualbert_answer"].classifier.weight
    assert torch.equal(theirs.cls.weight, label)


def test_the_cards_lines_run(runs, tmp_path):
    folder = VisualBERT.from_pretrained(runs["flickr30k"][0]).save_pretrained(tmp_path / "shared")
    card = (folder / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", card, re.S)
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "Reply(about='A man'" in ended.stdout


def test_the_card_says_how_it_was_trained(runs, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(runs["vqa2"][0], folder)
    name = "visualbert_vqa2/visualbert_vqa_accuracy"
    rows = [(200, "train", 0.9), (200, "val", 0.5), (400, "val", 0.75), (600, "val", 0.6)]
    lines = [json.dumps({"update": update, "split": split, f"{split}/{name}": value}) for update, split, value in rows]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + '\n{"update": 7')
    card = (VisualBERT.from_pretrained(folder / "best.ckpt").save_pretrained(tmp_path / "a") / "README.md").read_text()
    assert "On val, at update 400" in card and f"| {name} | 0.7500 |" in card and "license: bsd-3-clause" in card
    assert "| batch size | " in card and "v2_mscoco_train2014_annotations.json" in card
    again = VisualBERT.from_pretrained(tmp_path / "a").save_pretrained(tmp_path / "b")
    assert "On val, at update 400" in (again / "README.md").read_text()


def test_weights_in_shards_load(runs, tmp_path):
    from transformers import VisualBertForQuestionAnswering

    model = VisualBERT.from_pretrained(runs["vqa2"][0])
    whole = model.save_pretrained(tmp_path / "whole")
    shards = tmp_path / "shards"
    VisualBertForQuestionAnswering.from_pretrained(whole).save_pretrained(shards, max_shard_size="60KB")
    shutil.copy(whole / "vocab.txt", shards)
    assert len(list(shards.glob("*.safetensors"))) > 1
    loaded = VisualBERT.from_pretrained(shards)
    assert loaded.heads == ["visualbert_answer"] and "VisualBertForQuestionAnswering" in " ".join(loaded.report)
    image = np.ones((3, 128), np.float32)
    assert torch.equal(model.encode("a circle", image).text, loaded.encode("a circle", image).text)
    with pytest.raises(InputError, match="does not say what its answers are"):
        loaded.answer("what ?", image)
    next(iter(shards.glob("*.safetensors"))).unlink()
    with pytest.raises(InputError, match="copy or download it again"):
        VisualBERT.from_pretrained(shards)


@pytest.mark.parametrize("target", ["authors", "mmf", "transformers"])
def test_files_of_others_are_told_by_their_names(runs, small_world, tmp_path, target):
    from mmf_visualbert.checkpoints.convert import revert
    from mmf_visualbert.runs import modules_of

    model = VisualBERT.from_pretrained(runs["pretrain_coco"][0])
    theirs, _ = revert(modules_of(model.model.parts).state_dict(), target)
    file = tmp_path / "weights.th"
    torch.save({"model": theirs} if target == "mmf" else theirs, file)
    loaded = VisualBERT.from_pretrained(file, vocabulary=small_world / "bert/vocab.txt", attention_heads=4)
    assert sorted(loaded.heads) == sorted(model.heads)
    image = np.ones((3, 128), np.float32)
    states = model.encode("a circle", image)
    torch.testing.assert_close(loaded.encode("a circle", image).text, states.text, atol=1e-5, rtol=0)
    assert loaded.fill("a [MASK]", image)[0].answer == model.fill("a [MASK]", image)[0].answer
    with pytest.raises(InputError, match="does not say which vocabulary it reads"):
        VisualBERT.from_pretrained(file, attention_heads=4)


@pytest.mark.parametrize("target", ["authors", "transformers"])
@pytest.mark.parametrize("name", ["vqa2", "nlvr2"])
def test_answers_come_back_from_files_of_others(runs, small_world, tmp_path, name, target):
    """Ours to theirs, theirs to ours, and to a folder of ours again: what the model says stays."""
    from mmf_visualbert.checkpoints.convert import revert
    from mmf_visualbert.runs import modules_of

    model = VisualBERT.from_pretrained(runs[name][0])
    theirs, _ = revert(modules_of(model.model.parts).state_dict(), target)
    torch.save({key: value for key, value in theirs.items() if isinstance(value, torch.Tensor)}, tmp_path / "their.th")
    (tmp_path / "answers.txt").write_text("".join(f"{answer}\n" for answer in getattr(runs[name][1], "answers", [])))
    loaded = VisualBERT.from_pretrained(
        tmp_path / "their.th",
        vocabulary=small_world / "bert/vocab.txt",
        attention_heads=4,
        answers=tmp_path / "answers.txt" if name == "vqa2" else None,
    )
    image = np.random.default_rng(0).random((3, 128), np.float32)
    texts, images = ["a red circle ?", "two"], [image, image] if name == "vqa2" else [[image, image]] * 2
    for again in (loaded, VisualBERT.from_pretrained(loaded.save_pretrained(tmp_path / "saved"))):
        for one, other in zip(
            again.ask(again.heads[0], texts, images, 2), model.ask(model.heads[0], texts, images, 2), strict=True
        ):
            assert [reply.answer for reply in one] == [reply.answer for reply in other]
            assert [reply.probability for reply in one] == pytest.approx([r.probability for r in other], abs=1e-5)


def test_what_is_asked_wrongly_is_one_sentence(runs, vqa, tmp_path):
    path, questions, images = vqa
    model = VisualBERT.from_pretrained(path)
    with pytest.raises(InputError, match="2 images are given where 1 are needed"):
        model.answer(questions[:1], images[:2])
    with pytest.raises(InputError, match=r"has no visualbert_pooled; it has visualbert_answer"):
        model.judge("a", [images[0], images[0]])
    with pytest.raises(InputError, match="does not say which detector made its regions"):
        model.answer("a", "photo.jpg")
    with pytest.raises(InputError, match="image 1 has features that are not finite"):
        model.answer("a", np.full((2, 128), np.nan, np.float32))
    with pytest.raises(InputError, match="dimension 64"):
        model.answer("a", np.ones((2, 64), np.float32))
    with pytest.raises(InputError, match="give a list of 2 for each text"):
        VisualBERT.from_pretrained(runs["nlvr2"][0]).judge("a", [images[0]])
    with pytest.raises(InputError, match=r"is the folder of a run; name the checkpoint in it, .*best\.ckpt"):
        VisualBERT.from_pretrained(path.parent)
    with pytest.raises(InputError, match=r"there is no .*missing"):
        VisualBERT.from_pretrained(tmp_path / "missing")
    (tmp_path / "page.pth").write_text("<!doctype html><html></html>")
    with pytest.raises(InputError, match="web page") as raised:
        VisualBERT.from_pretrained(tmp_path / "page.pth")
    assert "weights_only" not in str(raised.value)


def test_a_vocabulary_that_is_gone_is_asked_for(runs, small_world, tmp_path):
    content = torch.load(runs["vqa2"][0], weights_only=True)
    model = content["config"]["model_config"]["visualbert"]
    model |= {"bert": "/gone/bert", "tokenizer": "/gone/bert/vocab.txt"}
    torch.save(content, tmp_path / "best.ckpt")
    with pytest.raises(InputError, match="there is no vocabulary at /gone"):
        VisualBERT.from_pretrained(tmp_path / "best.ckpt", attention_heads=4)
    loaded = VisualBERT.from_pretrained(
        tmp_path / "best.ckpt", attention_heads=4, vocabulary=small_world / "bert/vocab.txt"
    )
    assert any("'/gone/bert', is not to be had here" in line for line in loaded.report)
    image = np.ones((3, 128), np.float32)
    before = VisualBERT.from_pretrained(runs["vqa2"][0]).encode("a circle", image)
    assert torch.equal(loaded.encode("a circle", image).text, before.text)


def test_beside_files_are_not_lost(runs, tmp_path):
    folder = VisualBERT.from_pretrained(runs["vqa2"][0]).save_pretrained(tmp_path / "shared")
    assert (folder / BESIDE).is_file(), "what the rows of a classifier stand for has no place in transformers"
    (folder / BESIDE).unlink()
    with pytest.raises(InputError, match="has no weight for heads"):
        VisualBERT.from_pretrained(folder)
