"""Every variant of the paper has its row, its files and the settings that it is named after; and what a phase costs."""

from pathlib import Path

import pytest
from mmf_runs import CONFIGS

from mmf_visualbert import catalog
from mmf_visualbert.contracts import Load
from mmf_visualbert.errors import InputError
from mmf_visualbert.reproduce.estimate import estimate, training_flops
from mmf_visualbert.reproduce.plan import SCALES, make_plan, phase_config, variants
from mmf_visualbert.tasks.chains import COCO, FINE, TASK
from mmf_visualbert.tasks.vcr.task import JOINT

VARIANTS = variants()
COLUMNS = {name: task.columns for name, task in catalog.tasks().items() if task.columns}
ROWS = {(name, variant): row for name, task in catalog.tasks().items() for variant, row in task.rows.items()}
LOADS = {(name, phase): load for name, task in catalog.tasks().items() for phase, load in task.loads.items()}

EVERY = [(task, variant) for task, variants in VARIANTS.items() for variant in variants]


def composed(task, variant, scale, tmp_path):
    """Phase name -> its whole config, put together by MMF's own reader."""
    from mmf.utils.configuration import load_yaml
    from omegaconf import OmegaConf

    plan = make_plan(task, variant, scale)
    configs = {}
    for phase in plan.phases:
        path = tmp_path / f"{phase.name}.yaml"
        path.write_text(OmegaConf.to_yaml(OmegaConf.create(phase_config(plan, phase, CONFIGS, tmp_path / "run"))))
        configs[phase.name] = load_yaml(str(path))
    return configs


def test_every_variant_has_a_row_and_every_row_a_variant():
    assert set(EVERY) == ROWS.keys()
    for (task, _), row in ROWS.items():
        titles = [column.title for column in COLUMNS[task]]
        assert any(title in row.values for title in titles)
        assert all(0 < value < 100 for value in row.values.values() if value is not None)


def test_every_metric_beside_the_papers_numbers_exists():
    import mmf  # noqa: F401  (registers them)

    for columns in COLUMNS.values():
        assert all(column.metric in {*catalog.names("metric"), JOINT} for column in columns)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(("task", "variant"), EVERY)
def test_every_file_of_every_phase_exists(task, variant, scale, tmp_path):
    plan = make_plan(task, variant, scale)
    names = [phase.name for phase in plan.phases]
    assert len(set(names)) == len(names), "two phases would share a folder"
    for position, phase in enumerate(plan.phases):
        assert phase.start_from is None or phase.start_from in names[:position]
        config = phase_config(plan, phase, CONFIGS, tmp_path)
        assert all(Path(file).is_file() for file in config["includes"]), config["includes"]
        assert config["env"]["save_dir"] == str(tmp_path / phase.name)


@pytest.mark.parametrize(
    ("task", "variant", "chain"),
    [
        ("vqa2", "full", [(COCO, None), (TASK, COCO), (FINE, TASK)]),
        ("vqa2", "train_val", [(COCO, None), (TASK, COCO), (FINE, TASK)]),
        ("flickr30k", "no_coco", [(TASK, None), (FINE, TASK)]),
        ("vcr", "full", [(COCO, None), (TASK, COCO), (FINE, TASK), ("rationale", TASK)]),
    ],
)
def test_phases_follow_each_other(task, variant, chain):
    assert [(phase.name, phase.start_from) for phase in make_plan(task, variant, "paper").phases] == chain


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("task", VARIANTS)
def test_no_early_fusion_is_late_in_all_phases(task, scale, tmp_path):
    for variant, fusion in (("no_early_fusion", "late"), ("full", None)):
        for name, config in composed(task, variant, scale, tmp_path).items():
            assert config.model_config.visualbert.get("fusion") == fusion, name


def test_ablations_of_nlvr2_change_what_they_are_named_after(tmp_path):
    full = composed("nlvr2", "ablation_full", "paper", tmp_path)
    text_only = composed("nlvr2", "ablation_text_only_coco", "paper", tmp_path)
    assert text_only[COCO].dataset_config.visualbert_captions.text_only is True
    assert "text_only" not in full[COCO].dataset_config.visualbert_captions
    assert text_only[FINE] == full[FINE]

    no_bert = composed("nlvr2", "ablation_no_bert", "paper", tmp_path)
    assert all(config.model_config.visualbert.random_init is True for config in no_bert.values())

    heads = {
        variant: [
            head.type for head in composed("nlvr2", variant, "paper", tmp_path)[COCO].model_config.visualbert.heads
        ]
        for variant in ("ablation_full", "ablation_no_objective_2")
    }
    assert heads["ablation_no_objective_2"] == ["visualbert_masked_lm"]
    assert set(heads["ablation_full"]) == {"visualbert_masked_lm", "visualbert_sentence_image"}


@pytest.mark.parametrize(("variant", "regions"), [("ablation_full", 36), ("regions_9", 9), ("regions_144", 144)])
def test_numbers_of_regions(variant, regions, tmp_path):
    configs = composed("nlvr2", variant, "paper", tmp_path)
    assert configs[COCO].dataset_config.visualbert_captions.max_regions == regions
    assert configs[TASK].dataset_config.visualbert_nlvr2.max_regions == regions
    assert configs[FINE].dataset_config.visualbert_nlvr2.max_regions == regions


def test_train_val_trains_on_both_splits_after_coco(tmp_path):
    configs = composed("vqa2", "train_val", "paper", tmp_path)
    for name in (TASK, FINE):
        assert len(configs[name].dataset_config.visualbert_vqa2.annotations.train) == 4
    assert "visualbert_vqa2" not in configs[COCO].get("dataset_config", {})


def test_the_sample_scale_is_small_and_the_papers_is_not(tmp_path):
    sample = composed("vqa2", "full", "sample", tmp_path)
    paper = composed("vqa2", "full", "paper", tmp_path)
    for name in (COCO, TASK, FINE):
        assert sample[name].model_config.visualbert.size.hidden_size == 128
        assert sample[name].model_config.visualbert.bert is None
        assert "bert" not in paper[name].model_config.get("visualbert", {})
        assert sample[name].training.max_epochs != paper[name].training.max_epochs or name == TASK
    assert {name: config.optimizer.params.lr for name, config in paper.items()} == {COCO: 5e-5, TASK: 5e-5, FINE: 2e-5}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gqa", "full", "paper"), "there is no task 'gqa'; choose one of flickr30k, nlvr2, vcr, vqa2$"),
        (
            ("flickr30k", "regions_9", "paper"),
            "no variant of flickr30k 'regions_9'; choose one of full, no_early_fusion, no_coco$",
        ),
        (("vqa2", "full", "huge"), "there is no scale 'huge'; choose one of sample, paper$"),
    ],
)
def test_unknown_names_say_what_there_is(arguments, message):
    with pytest.raises(InputError, match=message):
        make_plan(*arguments)


@pytest.mark.parametrize(
    ("words", "regions", "gigaflops"), [(20, 100, 63.7), (128, 100, 122.9), (20, 36, 29.2), (20, 144, 87.9)]
)
def test_flops_of_a_sample(words, regions, gigaflops):
    # The reference counts the projection of the regions, the pooler and a head of 3,129 answers too.
    ours = training_flops(Load(1, 1, 1, words, 1, regions)) / 1e9
    assert ours == pytest.approx(gigaflops, rel=0.03)
    assert training_flops(Load(1, 1, 1, 4 * words, 4, regions)) / 1e9 == pytest.approx(4 * ours)


def test_every_phase_can_be_estimated():
    for task, variant in EVERY:
        plan = make_plan(task, variant, "paper")
        for phase in plan.phases:
            load, cost = LOADS[task, phase.name], estimate(plan, phase, tflops=60.0)
            assert cost.updates == -(-load.samples // load.batch) * load.epochs
            assert 0 < cost.hours < 100 and 1 < cost.gigabytes < 10
            assert estimate(plan, phase, tflops=120.0).hours == pytest.approx(cost.hours / 2)


def test_what_is_estimated_is_what_the_yaml_trains(tmp_path):
    for task in VARIANTS:
        for name, config in composed(task, "full", "paper", tmp_path).items():
            load = LOADS[task, name]
            assert (load.batch, load.epochs) == (config.training.batch_size, config.training.max_epochs), (
                task,
                name,
                load,
            )


def test_vcr_merges_its_two_fine_tunings(tmp_path):
    for variant in VARIANTS["vcr"]:
        plan = make_plan("vcr", variant, "paper")
        assert {plan.merge.answers, plan.merge.rationales} == {phase.name for phase in plan.phases[-2:]}
        configs = composed("vcr", variant, "paper", tmp_path)
        assert configs[plan.merge.rationales].dataset_config.visualbert_vcr.mode == "rationale"
        assert configs[plan.merge.answers].get("dataset_config", {}).get("visualbert_vcr", {}).get("mode") is None
    assert all(make_plan(task, "full", "paper").merge is None for task in VARIANTS if task != "vcr")


def test_a_fixed_resnet_is_fixed_in_fine_tuning_at_every_scale(tmp_path):
    for scale in SCALES:
        for variant, frozen in (("full", "none"), ("no_coco", "resnet"), ("fixed_resnet", "resnet")):
            configs = composed("vcr", variant, scale, tmp_path)
            for name in (FINE, "rationale"):
                assert configs[name].model_config.visualbert.region_encoder.params.frozen == frozen, (scale, variant)
