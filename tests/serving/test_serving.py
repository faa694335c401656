"""The served page: real requests to a real server, and a real browser."""

import base64
import http.client
import json
import runpy
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from browser import serious_faults
from task_checkpoint import checkpoint

from mmf_visualbert import VisualBERT
from mmf_visualbert.cli import main
from mmf_visualbert.features.extraction.presets import FOLDER
from mmf_visualbert.features.store import FeatureStore

uvicorn = pytest.importorskip("uvicorn", reason='pip install "mmf_visualbert[serve]"')
pytest.importorskip("fastapi", reason='pip install "mmf_visualbert[serve]"')

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "serve.py"
EDGE = "an-edge-of-parts"
QUESTION = "What color is the circle ?"


@contextmanager
def served(app):
    """A server on a free port of this machine; gives the port."""
    from mmf_visualbert.cli.serve import bound

    with bound(0) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def model(small_world, tmp_path_factory):
    path, dataset, _ = checkpoint(small_world, "vqa2", "defaults", tmp_path_factory.mktemp("served"))
    return VisualBERT.from_pretrained(path), dataset


@pytest.fixture(scope="module")
def port(model, small_world):
    from mmf_visualbert.serving.app import build_app
    from mmf_visualbert.serving.asking import Asker, Limits

    store = FeatureStore(small_world / "features/vqa2/val2014.lmdb")
    asker = Asker(model[0], store, [small_world / "images"], Limits(size=200_000, letters=100))
    with served(build_app(asker)) as number:
        yield number


def sent(port, method, path, body=None, **headers):
    """The code, the headers and the content of a reply."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    connection.request(method, path, content, {"x-visualbert": "1", **headers})
    reply = connection.getresponse()
    found = reply.status, dict(reply.getheaders()), reply.read()
    connection.close()
    return found


def ask(port, body, **headers):
    code, _, content = sent(port, "POST", "/ask", body, **headers)
    return code, json.loads(content)


def test_an_answer_is_the_models(model, port, small_world):
    ours, dataset = model
    record = dataset.questions[0]
    code, said = ask(port, {"text": record.question, "images": [{"key": record.image_name}]})
    assert code == 200
    regions = FeatureStore(small_world / "features/vqa2/val2014.lmdb").read(record.image_name)
    expected = ours.answer(record.question, regions)
    assert [one["answer"] for one in said["replies"]] == [one.answer for one in expected]
    assert [one["probability"] for one in said["replies"]] == pytest.approx([one.probability for one in expected])
    encoding = ours.encode(record.question, regions, attentions=True)
    places = encoding.text_mask.shape[1]
    assert said["words"] == encoding.tokens[0]
    assert said["weights"][1] == pytest.approx(encoding.attentions[-1][0].mean(0)[1, places:].tolist())
    assert np.allclose(said["images"][0]["boxes"], regions.boxes)


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (b"{", 422, "no JSON"),
        (b"[" * 100_000, 422, "no JSON"),
        ([], 422, "give both"),
        ({"text": " ", "images": [{"key": "x"}]}, 422, "the text is empty"),
        ({"text": "a" * 101, "images": [{"key": "x"}]}, 422, "101 letters where 100 may be"),
        ({"text": QUESTION, "images": []}, 422, "a text with 1 images"),
        ({"text": QUESTION, "images": [{"key": "no such"}]}, 422, "no such"),
        ({"text": QUESTION, "images": ["x"]}, 422, "by its key in the store, or as a photograph"),
        ({"text": QUESTION, "images": [{"photograph": "!"}]}, 422, "not written in base64"),
        ({"text": QUESTION, "images": [{"photograph": "aGVsbG8="}]}, 422, "no image that can be read"),
        ({"text": "a" * 300_000, "images": []}, 413, "may have 200000 bytes"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(port, body, code, words):
    found, said = ask(port, body)
    assert found == code and words in said["error"] and "\n" not in said["error"]


def test_a_large_photograph_is_refused_before_it_is_decoded(port):
    header = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + (40_000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0\0\0\0\0"
    photograph = {"photograph": base64.b64encode(header).decode()}
    code, said = ask(port, {"text": QUESTION, "images": [photograph]})
    assert code == 422 and ("40000x40000 pixels" in said["error"] or "no image" in said["error"])


def test_a_photograph_needs_a_detector(port, small_world):
    picture = next((small_world / "images" / "val2014").iterdir()).read_bytes()
    code, said = ask(
        port, {"text": QUESTION, "images": [{"photograph": "data:;base64," + base64.b64encode(picture).decode()}]}
    )
    assert code == 422 and "which detector made its regions" in said["error"]


def test_only_this_machines_page_gets_answers(port):
    body = {"text": QUESTION, "images": []}
    assert sent(port, "POST", "/ask", body, Host="evil.example")[0] == 400
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/ask", json.dumps(body), {"Origin": "http://evil.example"})
    assert connection.getresponse().status == 403
    code, headers, _ = sent(port, "GET", "/")
    assert code == 200 and "default-src 'none'" in headers["content-security-policy"]
    assert sent(port, "GET", "/picture/..%2F..%2Fbert%2Fvocab")[0] == 404
    assert sent(port, "OPTIONS", "/ask")[0] == 405


def test_an_answer_that_takes_too_long_is_said(model):
    from mmf_visualbert.serving.app import build_app
    from mmf_visualbert.serving.asking import Asker, Limits

    asker = Asker(model[0], limits=Limits(seconds=0.2))
    with asker._one, served(build_app(asker)) as number:
        code, said = ask(number, {"text": QUESTION, "images": [{"photograph": small_picture()}]})
    assert code == 503 and "no answer within 0.2 seconds" in said["error"]


def small_picture():
    """A picture of 8x8 pixels in base64."""
    import io

    from PIL import Image

    content = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()


def test_the_page_in_a_browser(chromium, port, model):
    record = model[1].questions[0]
    context = chromium.new_context(viewport={"width": 390, "height": 900})
    page = context.new_page()
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"http://127.0.0.1:{port}/")
    page.fill("#key0", record.image_name)
    page.fill("#text", record.question)
    page.press("#text", "Enter")
    page.wait_for_selector("#result:not([hidden])")
    _, expected = ask(port, {"text": record.question, "images": [{"key": record.image_name}]})
    assert page.inner_text("#replies tr:first-child td:first-child") == expected["replies"][0]["answer"]
    assert page.locator("#pictures .region").count() == len(expected["images"][0]["boxes"])
    page.locator("#words button").nth(2).click()
    shown = page.eval_on_selector_all("#pictures .region", "all => all.map((one) => Number(one.dataset.weight))")
    assert shown == pytest.approx(expected["weights"][2])
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert serious_faults(page) == []
    page.fill("#key0", "no such image")
    page.click("#ask")
    page.locator("#error", has_text="no such image").wait_for()
    assert [line for line in said if "422" not in line] == []
    assert all(url.startswith((f"http://127.0.0.1:{port}/", "blob:", "data:")) for url in asked)
    context.close()


def test_a_command_line_that_cannot_be_served(capsys, model, port):
    path = model[0].source.origin
    assert main.main(["serve", str(path), "--port", str(port), "--detector", "nothing"]) == 2
    assert main.main(["serve", str(path)]) == 2
    said = capsys.readouterr().err
    assert "images come from --features or from --detector" in said


@pytest.fixture(scope="module")
def for_photographs(small_world, tmp_path_factory):
    """A model for features of torchvision's detector, both with random weights."""
    path, _, _ = checkpoint(small_world, "vqa2", "defaults", tmp_path_factory.mktemp("photographs"), dimension=1024)
    return path


def test_a_photograph_is_answered_by_the_example(for_photographs, small_world, tmp_path, monkeypatch):
    pytest.importorskip("python_multipart")
    monkeypatch.setenv("MODEL", str(for_photographs))
    shipped = (FOLDER / "torchvision_r50_fpn_v2.yaml").read_text()
    smaller = tmp_path / "smaller.yaml"
    smaller.write_text(shipped.replace("shortest: 600", "shortest: 96").replace("longest: 1000", "longest: 128"))
    monkeypatch.setenv("DETECTOR", str(smaller))
    monkeypatch.setenv("DETECTOR_WEIGHTS", "random:0")
    example = runpy.run_path(str(EXAMPLE))
    picture = next((small_world / "images" / "val2014").iterdir())
    expected = example["model"].answer(QUESTION, picture)
    body = form(text=QUESTION.encode(), photograph=picture.read_bytes())
    with served(example["app"]) as number:
        code, _, content = sent(
            number, "POST", "/ask", body, **{"Content-Type": f"multipart/form-data; boundary={EDGE}"}
        )
        assert code == 200 and [one["answer"] for one in json.loads(content)] == [one.answer for one in expected]
        body = form(text=QUESTION.encode(), photograph=b"no image")
        code, _, content = sent(
            number, "POST", "/ask", body, **{"Content-Type": f"multipart/form-data; boundary={EDGE}"}
        )
        assert code == 422 and "no image" in json.loads(content)["detail"]
    assert len(EXAMPLE.read_text().splitlines()) <= 60


def form(**fields):
    """A form as a browser sends it."""
    parts = [
        f'--{EDGE}\r\nContent-Disposition: form-data; name="{name}"'.encode()
        + (b'; filename="cat.jpg"' if name == "photograph" else b"")
        + b"\r\n\r\n"
        + content
        for name, content in fields.items()
    ]
    return b"\r\n".join([*parts, f"--{EDGE}--\r\n".encode()])
