"""What is measured on a table: torchmetrics' own functions over all examples, each once over all processes."""

from collections.abc import Callable, Mapping
from types import ModuleType

import torch
from torch import Tensor

from mmf_visualbert.catalog import register
from mmf_visualbert.metrics.accuracy import Accuracy
from mmf_visualbert.metrics.gather import gather_by_id

Value = Callable[[Tensor, Tensor], Tensor]


def classification() -> ModuleType:
    """torchmetrics' functions of labels. Their import takes a second, which runs of other tasks need not wait for."""
    import torchmetrics.functional.classification as found

    return found


def regression() -> ModuleType:
    """Those of numbers, likewise."""
    import torchmetrics.functional.regression as found

    return found


class OfScores:
    """A function of all scores and targets of a split; NaN where it is not defined.

    Args:
        value: (scores (S, N), targets (S,) or (S, N)) -> ().
    """

    required_params = ("id", "scores", "targets")

    def __init__(self, value: Value) -> None:
        self.value = value

    def calculate(self, sample_list: Mapping[str, Tensor], model_output: Mapping[str, Tensor]) -> Tensor:
        """The value, () float32; reads `id` (B,), `targets` and `scores` (B, N)."""
        scores, targets = gather_by_id(sample_list["id"], model_output["scores"].detach(), sample_list["targets"])
        return self.value(scores.float(), targets).float()


def macro_f1(scores: Tensor, targets: Tensor) -> Tensor:
    """F1 of each class, averaged."""
    return classification().multiclass_f1_score(scores, targets, scores.size(1), average="macro")


def weighted_f1(scores: Tensor, targets: Tensor) -> Tensor:
    """F1 of each class, weighted by how many examples it has."""
    return classification().multiclass_f1_score(scores, targets, scores.size(1), average="weighted")


def auroc(scores: Tensor, targets: Tensor) -> Tensor:
    """Area under the ROC curve of the second class; NaN where one class is absent."""
    if targets.unique().numel() < 2:
        return torch.tensor(float("nan"))
    return classification().binary_auroc(scores.softmax(-1)[:, -1], targets)


def micro_f1(scores: Tensor, targets: Tensor) -> Tensor:
    """F1 of all labels of all examples together."""
    return classification().multilabel_f1_score(scores.sigmoid(), targets.long(), scores.size(1), average="micro")


def macro_f1_of_labels(scores: Tensor, targets: Tensor) -> Tensor:
    """F1 of each label, averaged."""
    return classification().multilabel_f1_score(scores.sigmoid(), targets.long(), scores.size(1), average="macro")


def average_precision(scores: Tensor, targets: Tensor) -> Tensor:
    """Average precision of each label, averaged."""
    return classification().multilabel_average_precision(scores.sigmoid(), targets.long(), scores.size(1))


def auroc_of_labels(scores: Tensor, targets: Tensor) -> Tensor:
    """Area under the ROC curve of each label, averaged."""
    return classification().multilabel_auroc(scores.sigmoid(), targets.long(), scores.size(1))


def pearson(scores: Tensor, targets: Tensor) -> Tensor:
    """Pearson's correlation."""
    return regression().pearson_corrcoef(scores.squeeze(1), targets)


def spearman(scores: Tensor, targets: Tensor) -> Tensor:
    """Spearman's correlation."""
    return regression().spearman_corrcoef(scores.squeeze(1), targets)


def absolute_error(scores: Tensor, targets: Tensor) -> Tensor:
    """Mean absolute error."""
    return regression().mean_absolute_error(scores.squeeze(1), targets)


class F1OfEach:
    """F1 of each label, by its index; of labels that the split has no example of, none.

    Args:
        most: so many labels at most, those with the most examples.
    """

    required_params = ("id", "scores", "targets")

    def __init__(self, most: int = 30) -> None:
        self.most = most

    def calculate(self, sample_list: Mapping[str, Tensor], model_output: Mapping[str, Tensor]) -> dict[int, Tensor]:
        """() float32 each. Reads `id` (B,), `scores` (B, N), and `targets` (B,) of one label or (B, N) of several."""
        scores, targets = gather_by_id(sample_list["id"], model_output["scores"].detach(), sample_list["targets"])
        labels = scores.size(1)
        if targets.dim() == 1:
            values = classification().multiclass_f1_score(scores.float(), targets, labels, average="none")
            counts = torch.bincount(targets, minlength=labels)
        else:
            values = classification().multilabel_f1_score(
                scores.float().sigmoid(), targets.long(), labels, average="none"
            )
            counts = targets.sum(dim=0)
        shown = torch.argsort(counts, descending=True, stable=True)[: self.most]
        return {index: values[index] for index in sorted(shown.tolist()) if counts[index] > 0}


register("metric", "visualbert_f1_of_each")(F1OfEach)


def _register(name: str, value: Value) -> None:
    def metric() -> OfScores:
        return OfScores(value)

    metric.__name__, metric.__qualname__, metric.__doc__ = name, name, value.__doc__
    register("metric", name)(metric)


register("metric", "visualbert_label_accuracy")(Accuracy)


@register("metric", "visualbert_exact_match")
class ExactMatch:
    """Share of the questions whose best answer is one of those given; reads the head's `answer_accuracy` (B,)."""

    required_params = ("id", "answer_accuracy")

    def calculate(self, sample_list: Mapping[str, Tensor], model_output: Mapping[str, Tensor]) -> Tensor:
        """The share, () float32; what VQA's rule gives a share to is an answer that was given."""
        (accuracy,) = gather_by_id(sample_list["id"], model_output["answer_accuracy"])
        return (accuracy > 0).float().mean()


class RecallOfPairs:
    """Share of the texts whose image is among the `k` most probable ones of its pool, or of the images with a text that
    is; of the texts and images that have a partner among those.

    Args:
        k: how many count.
        of: "text_index" to rank the images of a text, "image_index" to rank the texts of an image.
    """

    def __init__(self, k: int, of: str) -> None:
        self.k, self.of = k, of
        self.required_params = ["id", "scores", "targets", of]

    def calculate(self, sample_list: Mapping[str, Tensor], model_output: Mapping[str, Tensor]) -> Tensor:
        """The share, () float32; NaN where there is none. Reads `scores` (B, 2), `targets` and the index (B,)."""
        scores, targets, queries = gather_by_id(
            sample_list["id"], model_output["scores"].detach().float(), sample_list["targets"], sample_list[self.of]
        )
        margins, right = scores[:, 1] - scores[:, 0], targets == 1
        # By query, and in a query the most probable first; ties to the disadvantage of the right one.
        order = torch.argsort(right.int(), stable=True)
        order = order[torch.argsort(-margins[order], stable=True)]
        order = order[torch.argsort(queries[order], stable=True)]
        _, counts = torch.unique_consecutive(queries[order], return_counts=True)
        starts = counts.cumsum(0) - counts
        ranks = torch.arange(len(order), device=order.device) - starts.repeat_interleave(counts)
        numbers = torch.arange(len(counts), device=order.device).repeat_interleave(counts)
        hits, with_partner = torch.zeros_like(counts), torch.zeros_like(counts)
        of_right = right[order]
        hits.index_add_(0, numbers[of_right & (ranks < self.k)], torch.ones_like(numbers[of_right & (ranks < self.k)]))
        with_partner.index_add_(0, numbers[of_right], torch.ones_like(numbers[of_right]))
        return (hits[with_partner > 0] > 0).float().mean()


def _register_recall(name: str, k: int, of: str) -> None:
    def recall() -> RecallOfPairs:
        return RecallOfPairs(k, of)

    recall.__name__ = recall.__qualname__ = name
    register("metric", name)(recall)


for _k in (1, 5, 10):
    _register_recall(f"visualbert_image_recall_at_{_k}", _k, "text_index")
    _register_recall(f"visualbert_text_recall_at_{_k}", _k, "image_index")
for _name, _function in {
    "visualbert_macro_f1": macro_f1,
    "visualbert_weighted_f1": weighted_f1,
    "visualbert_auroc": auroc,
    "visualbert_micro_f1_of_labels": micro_f1,
    "visualbert_macro_f1_of_labels": macro_f1_of_labels,
    "visualbert_average_precision": average_precision,
    "visualbert_auroc_of_labels": auroc_of_labels,
    "visualbert_pearson": pearson,
    "visualbert_spearman": spearman,
    "visualbert_absolute_error": absolute_error,
}.items():
    _register(_name, _function)
