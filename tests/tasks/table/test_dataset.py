"""Tables of each kind through MMF's trainer with the shipped yaml: samples, losses, metrics, predictions."""

import itertools
import json

import pytest
import table_world
import torch
from mmf_runs import CONFIGS, dataset_of, first_batch, load_trainer, write_config
from sklearn import metrics as sklearn_metrics

from mmf_visualbert import catalog, submissions
from mmf_visualbert.errors import InputError
from mmf_visualbert.tasks.table.dataset import few_of_each
from mmf_visualbert.tasks.table.kinds import KINDS
from mmf_visualbert.tasks.table.records import Shares

SAMPLE = CONFIGS / "scales" / "sample" / "common.yaml"


def configure(kind, world, folder, ending=".jsonl", **more):
    section = {**table_world.settings(world, folder, kind, ending), **more}
    return write_config(
        folder,
        CONFIGS / "table" / f"{kind}.yaml",
        SAMPLE,
        dataset_config={"visualbert_table": section},
        env={"data_dir": str(world), "save_dir": str(folder / "save")},
        training={"batch_size": 8, "evaluation_interval": 100},
    )


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_each_kind_learns_evaluates_and_predicts(kind, small_world, tmp_path):
    trainer = load_trainer(configure(kind, small_world, tmp_path))
    model, batch = trainer.model, first_batch(trainer)
    lengths = dataset_of(trainer, "train").facts.lengths
    assert (lengths is None) == (kind == "choice"), "whose samples are several sequences"
    if lengths is not None and kind != "retrieval":  # which draws its texts
        tokens = batch["text_mask"].sum(1) + (batch["region_mask"].sum(1) if "region_mask" in batch else 0)
        known = torch.from_numpy(lengths())[batch["id"]]
        assert (known >= tokens - 2).all() and (known <= tokens + 10).all(), "marks of phrases count as words"
    model.train()
    losses = []
    for _ in range(12):
        loss = sum(value.mean() for value in model(batch)["losses"].values())
        trainer.optimizer.zero_grad()
        loss.backward()
        for group in trainer.optimizer.param_groups:
            group["lr"] = 1e-3
        trainer.optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0], "one batch is learnt by heart"

    model.eval()
    batch = first_batch(trainer, "val")
    with torch.no_grad():
        output = model(batch)
    for name in trainer.config.evaluation.metrics:
        found = catalog.get("metric", name)().calculate(batch, output)
        for value in found.values() if isinstance(found, dict) else [found]:
            assert value.shape == () and (value.isfinite() or "auroc" in name or "precision" in name)
    dataset = dataset_of(trainer, "val")
    entries = dataset.predictions({"id": batch["id"], "scores": output["scores"]})
    assert len(entries) == len(batch["id"]) and all(entry["id"].startswith("q") for entry in entries)
    submissions.write("table", entries, tmp_path / "out.csv")
    assert len((tmp_path / "out.csv").read_text().splitlines()) == len(entries) + 1


def build(section, split, processors):
    return catalog.get("dataset", "visualbert_table")(section, split, processors)


@pytest.mark.parametrize("ending", [".json", ".csv", ".tsv"])
def test_all_forms_hold_the_same(ending, small_world, tmp_path, processors):
    lines = build(table_world.settings(small_world, tmp_path, "classification"), "val", processors)
    other = build(table_world.settings(small_world, tmp_path, "classification", ending), "val", processors)
    assert len(lines) == len(other) > 20 and lines.names == other.names
    for index in (0, 7, len(lines) - 1):
        ours, theirs = lines[index], other[index]
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_metrics_are_those_of_scikit_learn():
    torch.manual_seed(1)
    scores, targets, ids = torch.randn(40, 3), torch.randint(3, (40,)), torch.arange(40)
    sample, output = {"id": ids, "targets": targets}, {"scores": scores}
    chosen = scores.argmax(-1)
    for name, average in (("visualbert_macro_f1", "macro"), ("visualbert_weighted_f1", "weighted")):
        value = catalog.get("metric", name)().calculate(sample, output)
        assert float(value) == pytest.approx(sklearn_metrics.f1_score(targets, chosen, average=average))
    each = catalog.get("metric", "visualbert_f1_of_each")()
    theirs = sklearn_metrics.f1_score(targets, chosen, average=None)
    assert [float(value) for value in each.calculate(sample, output).values()] == pytest.approx(list(theirs))
    two, truth = torch.randn(40, 2), torch.randint(2, (40,))
    value = catalog.get("metric", "visualbert_auroc")().calculate({"id": ids, "targets": truth}, {"scores": two})
    assert float(value) == pytest.approx(sklearn_metrics.roc_auc_score(truth, two.softmax(-1)[:, 1]), abs=1e-6)
    many, labels = torch.randn(40, 4), torch.randint(2, (40, 4)).float()
    sample = {"id": ids, "targets": labels}
    value = catalog.get("metric", "visualbert_average_precision")().calculate(sample, {"scores": many})
    assert float(value) == pytest.approx(sklearn_metrics.average_precision_score(labels, many.sigmoid()), abs=1e-5)
    labels[:, 1] = 0
    found = catalog.get("metric", "visualbert_f1_of_each")(most=2).calculate(sample, {"scores": many})
    theirs = sklearn_metrics.f1_score(labels, many > 0, average=None, zero_division=0)
    frequent = sorted(labels.sum(0).argsort(descending=True, stable=True)[:2].tolist())
    assert {key: float(value) for key, value in found.items()} == pytest.approx({n: theirs[n] for n in frequent})
    assert 1 not in each.calculate(sample, {"scores": many}), "of which there is no example"


def test_rows_drawn_for_val_and_test_are_the_same_in_every_run(small_world, tmp_path, processors):
    section = table_world.settings(small_world, tmp_path, "classification")
    every = section["annotations"]["train"]
    section |= {"annotations": dict.fromkeys(("train", "val", "test"), every), "shares": {"val": 0.2, "test": 0.1}}
    section["features"] = dict.fromkeys(("train", "val", "test"), section["features"]["train"])
    parts = [set(build(section, split, processors).rows.table.ids) for split in ("train", "val", "test")]
    assert not parts[0] & parts[1] and not parts[1] & parts[2]
    total = sum(map(len, parts))
    assert 0.1 < len(parts[1]) / total < 0.3 and parts[1] == set(build(section, "val", processors).rows.table.ids)
    assert Shares(0.2, 0.1, 1).split_of("a") in ("train", "val", "test")


def test_text_alone_two_images_and_few_examples(small_world, tmp_path, processors):
    section = table_world.settings(small_world, tmp_path, "binary")
    alone = build({**section, "columns": {"id": "id", "image": None}}, "train", processors)
    assert "region_features" not in alone[0] and alone.names == ["0", "1"]
    rows = [json.loads(line) for line in open(section["annotations"]["train"][0])]
    for row, other in itertools.pairwise(rows):
        row["other"] = other["image"]
    table_world.write(tmp_path / "pairs.jsonl", rows[:-1])
    pairs = {**section, "annotations": {"train": [str(tmp_path / "pairs.jsonl")]}}
    sample = build({**pairs, "columns": {"id": "id", "image_b": "other"}}, "train", processors)[0]
    assert set(sample["region_segments"].tolist()) == {0, 1} and len(sample["region_mask"]) == 72
    few = build({**section, "examples_a_class": 3}, "train", processors)
    assert len(few) == 6 and few_of_each(few.rows.table, 3, 0) == list(few.rows.chosen)
    section = {**table_world.settings(small_world, tmp_path, "multilabel"), "examples_a_class": 2}
    anew = {**processors, "label_processor": catalog.get("processor", "visualbert_labels")()}
    several = build({**section, "columns": {"id": "id", "image": None}}, "train", anew)
    labels = [several.rows[index].label for index in range(len(several))]
    assert all(sum(name in each for each in labels) >= 2 for name in several.names) and len(labels) <= 2 * len(
        several.names
    )
    section = {**table_world.settings(small_world, tmp_path, "regression"), "examples_a_class": 2}
    with pytest.raises(InputError, match="examples_a_class is 2, and labels of this kind are no names; leave it out"):
        build({**section, "columns": {"id": "id", "image": None}}, "train", processors)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[3].pop("text"), r"line 4 has no column 'text', only id, image, label; name the right one"),
        (lambda rows: rows[3].update(text=" "), r"line 4: the text in 'text' is ' '; write one"),
        (lambda rows: rows[3].update(id=rows[2]["id"]), r"line 4: the id 'q\d+' stands in .*line 3 too"),
        (lambda rows: rows[3].update(label=None), r"line 4 has no label in 'label'; only a test split"),
        (lambda rows: rows[3].update(label=[1]), r"line 4: the label is \[1\]; write a name"),
        (lambda rows: rows[3].update(image="none.jpg"), r"line 4 has no region features: 'none' and 0 more"),
    ],
)
def test_a_faulty_row_is_named(change, message, small_world, tmp_path, processors):
    section = table_world.settings(small_world, tmp_path, "classification")
    path = tmp_path / "classification_train.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    change(rows)
    table_world.write(path, rows)
    with pytest.raises(InputError, match=message):
        build(section, "train", processors)


def test_a_faulty_file_is_named(small_world, tmp_path, processors):
    section = table_world.settings(small_world, tmp_path, "binary", ".csv")
    path = tmp_path / "binary_train.csv"
    whole = path.read_text()
    for text, message in (
        (whole.replace("\n", "\n1,2\n", 1), r"line 2 has 2 cells and the header names 4 columns"),
        (whole + 'q1,"open', r"is no csv .*close its quotes"),
        ("", "is empty"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            build(section, "train", processors)
    path.write_bytes(whole.replace("Is", "\xdc").encode("latin1"))
    with pytest.raises(InputError, match="no text in UTF-8"):
        build(section, "train", processors)


def test_a_label_that_train_lacks_and_labels_of_one_kind(small_world, tmp_path, processors):
    section = table_world.settings(small_world, tmp_path, "classification")
    path = tmp_path / "classification_val.jsonl"
    path.write_text(path.read_text() + '{"id": "new", "text": "a", "image": null, "label": "zebra"}\n')
    build(section, "train", processors)
    with pytest.raises(InputError, match=r"the label 'zebra' is none of train's"):
        build(section, "val", processors)
    rows = [{"id": str(n), "text": "a", "image": "", "label": "same"} for n in range(4)]
    section["annotations"]["train"] = [str(table_world.write(tmp_path / "same.jsonl", rows))]
    processors["label_processor"] = catalog.get("processor", "visualbert_labels")()
    with pytest.raises(InputError, match=r"train has the label same alone; a classification needs two names"):
        build(section, "train", processors)
