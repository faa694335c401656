"""The explorer: what it writes, and how it behaves in a browser."""

import base64
import gzip
import json
import re

import numpy as np
import pytest
import torch
from browser import opened, serious_faults
from task_checkpoint import VCR_FRAMES, checkpoint

from mmf_visualbert.analysis.explorer import depicted, in_script, spread
from mmf_visualbert.analysis.looks import group_of, quantised
from mmf_visualbert.analysis.watching import WatchedModel
from mmf_visualbert.cli import main
from mmf_visualbert.contracts import Depicted, GoldBoxes
from mmf_visualbert.modules.batch import visual_bert_inputs
from mmf_visualbert.runs import read_model
from mmf_visualbert.tasks.flickr30k.task import TASK


def blocks(page):
    """The json that a page holds, by the name of its element."""
    found = re.findall(r'<script type="application/json" id="([\w-]+)">(.*?)</script>', page.read_text(), re.DOTALL)
    return {name: json.loads(content) for name, content in found}


@torch.no_grad()
def attention_of(path, dataset, place):
    """(layers, heads, words, regions) of a caption, by a plain forward pass."""
    parts = read_model(path).parts
    parts.visual_bert.eval()
    batch = {name: value[None] for name, value in dataset[place].items()}
    encoded = parts.visual_bert(*visual_bert_inputs(batch), output_attentions=True)
    words = encoded.text_mask.shape[1]
    return torch.stack([weights[0, :, :words, words:] for weights in encoded.attentions])


def test_what_is_written_are_the_models_weights(grounded):
    path, dataset, page = grounded
    content = blocks(page)
    assert len(content["index"]["examples"]) == 6 and content["index"]["best"] == [1, 2]
    for number, place in enumerate(spread(6, len(dataset))):
        one, expected = content[f"example-{number}"], attention_of(path, dataset, place)
        layers, heads, words, regions = expected.shape
        assert (len(one["words"]), len(one["regions"])) == (words, regions)
        raw = np.frombuffer(gzip.decompress(base64.b64decode(one["data"])), np.uint8)[: expected.numel()]
        scales = np.array(one["scales"]["raw"]).reshape(layers, heads, 1, 1)
        found = raw.reshape(expected.shape) * scales / 255
        assert (np.abs(found - expected.numpy()) < scales / 500 + 1e-6).all()
    assert page.stat().st_size < 1e6


def test_regions_belong_to_the_gold_box_that_they_cover_best():
    gold = (GoldBoxes("a man", 0, ((0, 0, 10, 10),)), GoldBoxes("a dog", 0, ((0, 0, 10, 8), (50, 50, 60, 60))))
    shown = Depicted("x", ("x",), (), boxes=gold)
    assert [group_of(box, 0, shown) for box in ((0, 0, 10, 10), (0, 0, 10, 8), (51, 50, 60, 60), (30, 30, 40, 40))] == [
        *(0, 1, 1, -1)
    ]
    assert group_of((0, 0, 10, 10), 1, shown) == -1, "of another image"


def test_bytes_are_no_further_off_than_half_a_step():
    weights = torch.rand(5, 7, 3) * torch.tensor([1.0, 0.1, 1e-3, 0.5, 0.0])[:, None, None]
    numbers, scales = quantised(weights)
    steps = torch.tensor(scales)[:, None] / 255
    assert ((torch.from_numpy(numbers).float() * steps - weights.flatten(1)).abs() <= steps * 0.51 + 1e-9).all()


def test_hovering_shows_the_models_weights_and_layer_and_head_switch(grounded, chromium):
    path, dataset, page = grounded
    place = spread(6, len(dataset))[2]
    expected, (shown, _) = attention_of(path, dataset, place), next(depicted(dataset, TASK, [place]))
    with opened(chromium, page) as tab:
        tab.click("#examples a >> nth=2")
        tab.wait_for_selector(f"#name:text-is('{shown.name}')")

        def regions():
            pairs = tab.eval_on_selector_all(".region", "all => all.map(e => [+e.dataset.region, +e.dataset.weight])")
            return [weight for _, weight in sorted(pairs)]

        tab.hover("#words button >> nth=2")
        assert regions() == pytest.approx(expected[1].mean(0)[2].tolist(), abs=2e-3)
        tab.check("input[value=head]")
        tab.fill("#layer", "0")
        tab.fill("#head", "3")
        tab.hover("#words button >> nth=3")
        assert regions() == pytest.approx(expected[0, 3, 3].tolist(), abs=2e-3)
        assert tab.inner_text("#layer-number") == "1" and tab.inner_text("#head-number") == "4"
        tab.check("input[value=best]")
        tab.hover("#words button >> nth=3")
        assert regions() == pytest.approx(expected[0, 1, 3].tolist(), abs=2e-3)
        tab.focus(".region >> nth=0")
        region = int(tab.get_attribute(".region >> nth=0", "data-region"))
        tab.keyboard.press("Enter")
        words = tab.eval_on_selector_all("#words button", "all => all.map(e => Number(e.dataset.weight))")[:-1]
        assert words == pytest.approx(expected[0, 1, :, region].tolist(), abs=2e-3)
        assert f"region={region}" in tab.url and f"example={shown.name.replace('#', '%23')}" in tab.url


def test_attended_regions_outside_of_the_gold_have_an_asterisk(grounded, chromium):
    path, dataset, page = grounded
    place = spread(6, len(dataset))[0]
    one, expected = blocks(page)["example-0"], attention_of(path, dataset, place)
    groups = [region[3] for region in one["regions"]]
    with opened(chromium, page, address="#view=raw&mode=head&layer=2&head=1&word=2") as tab:
        tab.wait_for_selector("#weights tbody tr")
        tab.check("#grouped")
        lines = tab.eval_on_selector_all(
            "#weights tr", "rows => rows.map(r => [r.cells[0].textContent, Number(r.cells[2].dataset.weight)])"
        )
        row = expected[1, 0, 2].tolist()
        wanted = {}
        for weight, group, region in zip(row, groups, one["regions"], strict=True):
            if group >= 0:
                label = one["groups"][group]["label"]
                wanted[label] = wanted.get(label, 0) + weight
            elif weight >= 0.1 * sum(row):
                wanted[f"region {region[1]} *"] = weight
        found = dict(lines)
        assert found == pytest.approx(wanted, abs=3e-3)
        assert any(name.endswith("*") for name in found)


def test_keys_filters_and_small_screens(grounded, chromium):
    _, _, page = grounded
    names = [one["name"] for one in blocks(page)["index"]["examples"]]
    for width, scheme in ((1440, "light"), (390, "dark")):
        with opened(chromium, page, width, scheme, f"#example={names[1].replace('#', '%23')}") as tab:
            tab.wait_for_selector(f"#name:text-is('{names[1]}')")
            tab.keyboard.press("j")
            tab.wait_for_selector(f"#name:text-is('{names[2]}')")
            tab.keyboard.press("[")
            assert tab.inner_text("#layer-number") == "1"
            tab.keyboard.press("v")
            tab.keyboard.press("v")
            assert tab.is_checked("input[value=relevance]") and "the answer rests on" in tab.inner_text("#say")
            tab.keyboard.press("g")
            assert tab.is_hidden(".gold >> nth=0")
            assert tab.evaluate("document.documentElement.scrollWidth") <= width
            assert serious_faults(tab) == []
            tab.select_option("#right", "0")
            wrong = sum(one["right"] is False for one in blocks(page)["index"]["examples"])
            assert tab.inner_text("#count") == f"{wrong} of 6 examples" and wrong > 0


def test_ones_own_text_is_shown_as_text_and_a_missing_image_is_said(small_world, tmp_path, capsys, chromium):
    path, dataset, _ = checkpoint(small_world, "vqa2", "defaults", tmp_path)
    key = dataset.questions[0].image_name
    text = "is <b>this</b> </script><img src=x onerror=alert(1)> red?"
    given = ["explore", str(path), "--text", text, "--image", key, "--out", str(tmp_path / "own.html")]
    assert main.main([*given, "--features", str(small_world / "features/vqa2/val2014.lmdb")]) == 0
    assert "1 images have no file in" in capsys.readouterr().out
    with opened(chromium, tmp_path / "own.html") as tab:
        tab.wait_for_selector("#weights tbody tr")
        assert tab.locator("#words b, #words img, main img").count() == 0
        assert tab.inner_text("#text") == text and tab.locator("#text *").count() == 0
        assert "blank canvas" in tab.inner_text("figcaption") and tab.locator(".region").count() > 3
        assert len(tab.locator("#answers tbody tr").all()) == 5
    assert main.main([*given, "--features", str(small_world / "features/nlvr2/dev.lmdb")]) == 2
    assert "trained on regions of the detector sample-vqa2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("task", "phase"),
    [("vqa2", "defaults"), ("nlvr2", "defaults"), ("flickr30k", "pretrain_task"), ("vqa2", "pretrain_coco")],
)
def test_examples_of_every_task(small_world, tmp_path, task, phase):
    path, _, _ = checkpoint(small_world, task, phase, tmp_path)
    page = tmp_path / "page.html"
    assert main.main(["explore", str(path), "--count", "3", "--out", str(page)]) == 0
    content = blocks(page)
    for number in range(3):
        one = content[f"example-{number}"]
        assert len(one["images"]) == (2 if task == "nlvr2" else 1)
        assert all(image["src"].startswith("data:image/jpeg;base64,") for image in one["images"])
        assert {region[0] for region in one["regions"]} == set(range(len(one["images"])))
        assert one["answers"] and (one["right"] is not None) == (phase == "defaults")


def test_a_watched_model_says_what_it_says_unwatched(small_world, tmp_path):
    path, dataset, parts = checkpoint(small_world, "vqa2", "defaults", tmp_path)
    loaded = read_model(path)
    model = WatchedModel(loaded.parts, loaded.text, loaded.regions)
    sample = dataset[3]
    watched = model.run("visualbert_answer", sample).scores
    with torch.no_grad():
        batch = {name: value[None] for name, value in sample.items()}
        plain = parts.heads["visualbert_answer"](parts.visual_bert(*visual_bert_inputs(batch)), batch).scores
    torch.testing.assert_close(watched.detach(), plain, atol=1e-4, rtol=1e-4)
    assert torch.allclose(model.seen.raw.sum(-1) + model.seen.special, torch.tensor(1.0), atol=1.0)


def test_json_inside_a_script_cannot_end_it():
    text = in_script({"a": "</script><!-- & \u2028"})
    assert not set("<>&\u2028") & set(text) and json.loads(text) == {"a": "</script><!-- & \u2028"}


def test_bad_input_is_one_sentence(grounded, tmp_path, capsys):
    path, _, _ = grounded
    (tmp_path / "heads.csv").write_text("layer,head,accuracy\n1,1,0.5\n")
    for given, sentence in (
        (["--count", "0"], "leaves no example"),
        (["--text", "a"], "belong together"),
        (["--text", "a", "--image", "x"], "come from --features or from --detector"),
        (["--names", "7#1"], "has no example 7#1; one is"),
        (["--count", "1", "--heads", str(tmp_path / "heads.csv")], "no heads of layer 2"),
        (["--count", "1", "--megabytes", "0.001"], "give fewer examples with --count"),
    ):
        assert main.main(["explore", str(path), "--out", str(tmp_path / "p.html"), *given]) == 2, given
        error = capsys.readouterr().err
        assert sentence in error and error.count("\n") == 1
    assert not (tmp_path / "p.html").exists()


def test_a_choice_is_shown_with_its_frame(small_world, tmp_path):
    """VCR makes its regions inside the model; the weights of the choice that is taken are those of a plain pass."""
    path, dataset, parts = checkpoint(small_world, "vcr", "defaults", tmp_path, overrides=VCR_FRAMES)
    page = tmp_path / "vcr.html"
    assert main.main(["explore", str(path), "--count", "3", "--out", str(page)]) == 0
    content = blocks(page)
    for number, place in enumerate(spread(3, len(dataset))):
        one, record = content[f"example-{number}"], dataset.annotations[place]
        batch = {name: value[None] for name, value in dataset[place].items()}
        with torch.no_grad():
            inputs = visual_bert_inputs(batch, parts.region_encoder(batch).features)
            encoded = parts.visual_bert(*inputs, output_attentions=True)
            scores = parts.heads["visualbert_choice"](encoded, batch).scores[0].softmax(-1)
        taken, words = int(scores.argmax()), encoded.text_mask.shape[1]
        regions = batch["region_mask"][0].nonzero().squeeze(1)
        expected = torch.stack([weights[taken, :, :words, words:][:, :, regions] for weights in encoded.attentions])
        raw = np.frombuffer(gzip.decompress(base64.b64decode(one["data"])), np.uint8)[: expected.numel()]
        scales = np.array(one["scales"]["raw"]).reshape(2, 4, 1, 1)
        assert (np.abs(raw.reshape(expected.shape) * scales / 255 - expected.numpy()) < scales / 500 + 1e-6).all()
        assert one["answers"][0][2] == pytest.approx(float(scores.max()), abs=1e-4) and len(one["answers"]) == 4
        assert one["gold"] and one["right"] == (taken == record.answer_label)
        assert one["images"][0]["src"].startswith("data:image") and len(one["regions"]) == len(regions)
        assert one["regions"][0][2][:2] == [0, 0] and one["groups"][0]["label"].startswith("[")
