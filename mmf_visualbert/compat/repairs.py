"""The list of repairs: which import each accompanies, and which of them were needed in this process and why.

A repair is a function without arguments (`before` an import) or with the imported module (`after` it). It looks whether
it is needed, at what the installed code does and never at a version, does its work, and returns the reason in a few
words, or None where nothing was to do. In which MMF it was needed, and when it can go, its docstring says.
"""

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

PACKAGE = "mmf_visualbert"


class Repair(NamedTuple):
    """One repair.

    Attributes:
        function: `file.function`; its file is only imported when the repair is due.
        when: "before" or "after".
        module: the import that it accompanies.
        room: the folder of its file: "compat", or "plugin" for what stays for ever.
    """

    function: str
    when: str
    module: str
    room: str = "compat"

    def load(self) -> Callable[..., str | None]:
        """The function itself."""
        file, _, function = self.function.partition(".")
        return getattr(importlib.import_module(f"{PACKAGE}.{self.room}.{file}"), function)


REPAIRS = (
    # what is not there
    Repair("torchvision_operators.define_missing_schemas", "after", "torchvision.extension"),
    Repair("torchvision_operators.compute_in_torch", "after", "torchvision.ops"),
    Repair("standins.provide_torchtext", "before", "mmf"),
    Repair("standins.provide_torchaudio", "before", "mmf"),
    Repair("standins.provide_demjson", "before", "mmf"),
    Repair("python_names.restore_mapping", "after", "mmf.utils.logger"),
    Repair("transformers_names.resolve_moved_modules", "before", "mmf"),
    Repair("transformers_names.restore_bert_layer_norm", "after", "transformers.models.bert.modeling_bert"),
    Repair("transformers_names.tie_nothing_unasked", "after", "transformers.modeling_utils"),
    Repair("mmf_models.restore_transpose_for_scores", "after", "transformers.models.bert.modeling_bert"),
    Repair("mmf_models.restore_transpose_for_scores", "after", "transformers.models.roberta.modeling_roberta"),
    Repair("mmf_models.restore_tying", "after", "transformers.modeling_utils"),
    Repair("mmf_models.stay_without_cuda", "after", "mmf.models.visual_bert"),
    Repair("mmf_models.stay_without_cuda", "after", "mmf.models.vilbert"),
    Repair("mmf_models.restore_isatty", "after", "mmf.utils.logger"),
    Repair("mmf_vit.restore_vit_layers", "after", "transformers.models.vit.modeling_vit"),
    Repair("mmf_vit.restore_vit_attention", "after", "mmf.modules.vit"),
    Repair("transformers_names.restore_adamw", "after", "transformers.optimization"),
    Repair("transformers_names.skip_import_of_all_models", "after", "mmf.utils.patch"),
    Repair("torchvision_names.restore_read_video", "after", "torchvision.io"),
    Repair("lightning_names.restore_callbacks_base", "before", "mmf"),
    Repair("mmf_datasets.restore_imdb", "after", "mmf.datasets.mmf_dataset"),
    Repair("mmf_datasets.share_open_features", "after", "mmf.datasets.databases.readers.feature_readers"),
    Repair("mmf_datasets.predict_entailment", "after", "mmf.datasets.builders.visual_entailment.dataset"),
    Repair("mmf_datasets.predict_genres", "after", "mmf.datasets.builders.mmimdb.dataset"),
    # what behaves otherwise
    Repair("omegaconf_behaviour.register_env_resolver", "before", "mmf"),
    Repair("omegaconf_behaviour.give_none_for_missing_keys", "before", "mmf"),
    Repair("omegaconf_behaviour.restore_pretty", "before", "mmf"),
    Repair("warning_filters.hide_what_users_cannot_mend", "before", "mmf"),
    Repair("warning_filters.keep_hidden", "after", "mmf.utils.distributed"),
    # what goes wrong in MMF
    Repair("training.leave_anomaly_detection_off", "after", "mmf.trainers.base_trainer"),
    Repair("training.stop_after_max_updates", "after", "mmf.trainers.base_trainer"),
    Repair("training.count_updates_of_epochs", "after", "mmf.trainers.base_trainer"),
    Repair("training.begin_several_anew", "after", "mmf.datasets.multi_dataset_loader"),
    Repair("several_datasets.heed_keys_of_metrics", "after", "mmf.modules.metrics"),
    Repair("several_datasets.evaluate_each_dataset", "after", "mmf.trainers.base_trainer"),
    Repair("training.keep_rates_in_step", "after", "mmf.trainers.base_trainer"),
    Repair("training.judge_the_last_evaluation", "after", "mmf.trainers.core.training_loop"),
    Repair("training.seed_each_rank", "after", "mmf.utils.env"),
    Repair("training.stop_early_on_all_ranks", "after", "mmf.utils.early_stopping"),
    Repair("training.heed_persistent_workers", "after", "mmf.utils.build"),
    Repair("distributed.run_alone_with_one_process", "after", "mmf.utils.distributed"),
    Repair("distributed.take_gloo_without_cuda", "after", "mmf.utils.distributed"),
    Repair("distributed.train_release_without_cuda", "after", "mmf.trainers.base_trainer"),
    Repair("distributed.train_main_without_cuda", "after", "mmf.trainers.core.device"),
    Repair("distributed.give_each_rank_its_device", "after", "mmf.utils.configuration"),
    Repair("run_log.show_our_messages", "after", "mmf.utils.logger"),
    Repair("run_log.close_tensorboard_in_time", "after", "mmf.utils.logger"),
    # what we want otherwise, whatever MMF does
    Repair("torch_load.load_weights_only", "after", "mmf.utils.checkpoint", room="plugin"),
    Repair("configuration.run_from_yaml_alone", "after", "mmf.utils.configuration", room="plugin"),
    Repair("configuration.find_our_configs", "after", "mmf.utils.configuration", room="plugin"),
    Repair("configuration.find_own_package", "after", "mmf.utils.configuration", room="plugin"),
    Repair("configuration.tell_of_unreadable_yaml", "after", "mmf.utils.configuration", room="plugin"),
    Repair("configuration.refuse_ignored_keys", "after", "mmf.utils.configuration", room="plugin"),
    Repair("command_line.read_each_word_once", "after", "mmf.utils.configuration", room="plugin"),
    Repair("before_a_run.check_before_a_run", "after", "mmf.utils.configuration", room="plugin"),
    Repair("other_datasets.count_samples", "after", "mmf.datasets.base_dataset_builder", room="plugin"),
    Repair("checkpoint.guard_loading", "after", "mmf.utils.checkpoint", room="plugin"),
    Repair("saving.save_whole", "after", "mmf.utils.checkpoint", room="plugin"),
    Repair("whole_checkpoints.go_on_from_whole", "after", "mmf.utils.checkpoint", room="plugin"),
    Repair("no_numbers.pass_over_steps", "after", "mmf.utils.checkpoint", room="plugin"),
    Repair("save_folder.one_run_a_folder", "after", "mmf.utils.checkpoint", room="plugin"),
    Repair("loaders.order_samples", "after", "mmf.utils.build", room="plugin"),
    Repair("loaders.order_predictions", "after", "mmf.common.test_reporter", room="plugin"),
    Repair("loaders.leave_in_place", "after", "mmf.common.batch_collator", room="plugin"),
    Repair("processes.meet_in_time", "after", "mmf.utils.distributed", room="plugin"),
    Repair("processes.find_the_others", "after", "mmf.utils.distributed", room="plugin"),
    Repair("preemption.note_training", "after", "mmf.utils.checkpoint", room="plugin"),
    Repair("preemption.look_after_each_update_of_release", "after", "mmf.trainers.base_trainer", room="plugin"),
    Repair("preemption.look_after_each_update_of_main", "after", "mmf.trainers.core.callback_hook", room="plugin"),
    Repair("run_metrics.write_metrics_of_release", "after", "mmf.trainers.base_trainer", room="plugin"),
    Repair("run_metrics.write_metrics_of_main", "after", "mmf.trainers.callbacks.logistics", room="plugin"),
    Repair("reports.count_whole_batches", "after", "mmf.common.report", room="plugin"),
    Repair("reports.refuse_to_measure_without_labels", "after", "mmf.common.report", room="plugin"),
    Repair("reports.refuse_to_measure_one_batch_without_labels", "after", "mmf.modules.metrics", room="plugin"),
    Repair("reports.take_uneven_batches", "after", "mmf.trainers.core.evaluation_loop", room="plugin"),
    Repair("reports.report_each_sample_once", "after", "mmf.common.test_reporter", room="plugin"),
    Repair("predictions.write_predictions_whole", "after", "mmf.common.test_reporter", room="plugin"),
    Repair("log_files.make_the_folder_of_a_run", "after", "mmf.utils.logger", room="plugin"),
    Repair("log_files.go_on_without_log", "after", "mmf.utils.logger", room="plugin"),
    Repair("waits.write_norms_when_logged", "after", "mmf.utils.logger", room="plugin"),
    Repair("loaders.begin_where_stopped", "after", "mmf.datasets.multi_dataset_loader", room="plugin"),
    Repair("exact_resume.restore_progress", "after", "mmf.utils.checkpoint", room="plugin"),
    Repair("exact_resume.remember_the_best", "after", "mmf.utils.early_stopping", room="plugin"),
    Repair("exact_resume.seed_each_update_of_release", "after", "mmf.trainers.base_trainer", room="plugin"),
    Repair("exact_resume.seed_each_update_of_main", "after", "mmf.trainers.core.training_loop", room="plugin"),
)

reasons: dict[str, str] = {}


def watched() -> set[str]:
    """Every module whose import is accompanied by a repair."""
    return {repair.module for repair in REPAIRS}


def run(when: str, module: str, *arguments: ModuleType) -> None:
    """Run the repairs that are due before or after the import of `module`, and note the reasons of those needed."""
    for repair in REPAIRS:
        if repair.when == when and repair.module == module:
            reason = repair.load()(*arguments)
            if reason:
                reasons[repair.function] = reason
