import math

import pytest
import torch
from torch import nn

from mmf_visualbert.errors import InputError
from mmf_visualbert.modules.boxes import overlaps_any, overlaps_any_of_each, pairwise_iou
from mmf_visualbert.modules.build import build_head, build_visual_bert
from mmf_visualbert.modules.inputs import Encoded, RegionInputs, TextInputs
from mmf_visualbert.tasks.flickr30k.head import PhraseGrounding
from mmf_visualbert.tasks.flickr30k.loss import PhraseCrossEntropy

H, T, R, E = 24, 9, 13, 4


def encoded(batch=3, regions=(13, 5, 2), width=R):
    region_mask = torch.arange(width) < torch.tensor(regions)[:, None]
    return Encoded(
        text=torch.randn(batch, T, H),
        regions=torch.randn(batch, width, H),
        text_mask=torch.ones(batch, T, dtype=torch.bool),
        region_mask=region_mask,
    )


def batch_of(region_mask, width=R):
    batch = len(region_mask)
    mask = torch.zeros(batch, width, dtype=torch.bool)
    mask[:, : region_mask.shape[1]] = region_mask
    positions = torch.tensor([[1, 4, 4, -1], [7, 2, -1, -1], [3, -1, 5, 1]])[:batch]
    exists = torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 1]], dtype=torch.bool)[:batch]
    return {
        "region_mask": mask,
        "phrase_positions": positions,
        "phrase_mask": exists,
        "phrase_targets": (torch.rand(batch, E, width) < 0.2) & mask[:, None] & exists[:, :, None],
        "phrase_types": torch.randint(8, (batch, E)) * exists,
    }


def plain_iou(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = width * height if width > 0 and height > 0 else 0.0
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def test_iou_is_that_of_a_plain_loop():
    boxes = torch.rand(20, 4) * 100
    boxes[:, 2:] += boxes[:, :2]
    others = boxes[torch.randperm(20)[:7]] + torch.randn(7, 4) * 10
    others = torch.cat([torch.minimum(others[:, :2], others[:, 2:]), torch.maximum(others[:, :2], others[:, 2:])], 1)
    expected = torch.tensor([[plain_iou(a, b) for b in others.tolist()] for a in boxes.tolist()])
    torch.testing.assert_close(pairwise_iou(boxes, others), expected)
    assert 0 < (expected >= 0.5).sum() < len(boxes)
    assert torch.equal(overlaps_any(boxes, others), (expected >= 0.5).any(1))


def test_iou_counts_no_extra_pixel_and_takes_the_threshold_itself():
    whole = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    half = torch.tensor([[0.0, 0.0, 10.0, 5.0]])  # with "+ 1" its IoU would be 66 / 121
    assert pairwise_iou(whole, half).item() == 0.5
    assert overlaps_any(whole, half).all()
    assert not overlaps_any(whole, torch.tensor([[0.0, 0.0, 10.0, 4.9]])).any()


def test_iou_of_boxes_without_area_is_zero_and_no_gold_box_matches_nothing():
    point = torch.tensor([[3.0, 3.0, 3.0, 3.0]])
    assert pairwise_iou(point, point).item() == 0
    assert not overlaps_any(torch.rand(4, 4), torch.zeros(0, 4)).any()


def test_all_groups_at_once_are_one_after_the_other():
    boxes, gold = torch.rand(30, 4), torch.rand(9, 4)
    boxes[:, 2:], gold[:, 2:] = boxes[:, :2] + 0.4, gold[:, :2] + 0.4
    groups = [gold[:1], gold[1:1], gold[1:6], gold[4:]]
    expected = torch.stack([overlaps_any(boxes, group) for group in groups])
    assert expected.any(1).tolist() == [True, False, True, True]
    assert torch.equal(overlaps_any_of_each(boxes, groups), expected)


def test_many_heads_are_the_averaged_weights_of_torchs_own_attention():
    head = PhraseGrounding(hidden_size=H, heads=4)
    states = encoded()
    batch = batch_of(states.region_mask)
    other = nn.MultiheadAttention(H, 4, batch_first=True)
    with torch.no_grad():
        other.in_proj_weight[:H], other.in_proj_weight[H : 2 * H] = head.query.weight, head.key.weight
        other.in_proj_bias[:H], other.in_proj_bias[H : 2 * H] = head.query.bias, head.key.bias
        scores = head(states, batch).scores.view(3, E, R).exp()
        for i in range(3):
            for e in range(E):
                position = batch["phrase_positions"][i, e]
                if position < 0:
                    assert torch.equal(scores[i, e], torch.zeros(R))
                    continue
                query, keys = states.text[i, position].view(1, 1, H), states.regions[i : i + 1]
                _, weights = other(query, keys, keys, key_padding_mask=~states.region_mask[i : i + 1])
                torch.testing.assert_close(scores[i, e], weights[0, 0])


def test_one_head_is_the_released_codes():
    transformers = pytest.importorskip("transformers")
    from transformers.models.visual_bert.modeling_visual_bert import VisualBertRegionToPhraseAttention

    theirs = VisualBertRegionToPhraseAttention(
        transformers.VisualBertConfig(hidden_size=H, num_attention_heads=3, vocab_size=10)
    ).eval()
    ours = PhraseGrounding(hidden_size=H, heads=1, head_size=8)
    ours.load_state_dict({name: value for name, value in theirs.state_dict().items() if not name.startswith("value")})
    states = encoded()
    batch = batch_of(states.region_mask)
    index = batch["phrase_positions"].clamp(min=0)
    queries = torch.stack([text[rows] for text, rows in zip(states.text, index, strict=True)])
    with torch.no_grad():
        expected = theirs(queries, states.regions, states.region_mask.long()).log_softmax(-1)
        scores = ours(states, batch).scores.view(3, E, R)
    readable = (batch["phrase_positions"] >= 0)[:, :, None] & states.region_mask[:, None]
    torch.testing.assert_close(scores[readable], expected[readable])
    assert (scores[~readable] == -math.inf).all()


def test_counts_are_those_of_a_plain_loop():
    head = PhraseGrounding(hidden_size=H, heads=2)
    states = encoded()
    batch = batch_of(states.region_mask)
    batch["phrase_targets"][0, 0] = False  # a phrase that no region matches
    batch["phrase_targets"][2, 1, :2] = True  # of the phrase that was cut off
    batch["phrase_targets"][0, 1, head(states, batch).phrase_choice[0, 1]] = True
    output = head(states, batch)
    probabilities = output.scores.detach().view(3, E, R)
    for i in range(3):
        counted = {k: 0 for k in (1, 5, 10)}
        upper = cut = 0
        types, type_hits = [0] * 8, [0] * 8
        for e in range(E):
            if not batch["phrase_mask"][i, e]:
                continue
            gold = set(batch["phrase_targets"][i, e].nonzero()[:, 0].tolist())
            kind = int(batch["phrase_types"][i, e])
            upper += bool(gold)
            types[kind] += 1
            if batch["phrase_positions"][i, e] < 0:
                cut += 1
                assert output.phrase_choice[i, e] == -1
                continue
            order = sorted(range(int(states.region_mask[i].sum())), key=lambda r: -float(probabilities[i, e, r]))
            assert output.phrase_choice[i, e] == order[0]
            type_hits[kind] += order[0] in gold
            for k in counted:
                counted[k] += bool(gold & set(order[:k]))
        assert output.phrase_count[i] == batch["phrase_mask"][i].sum()
        assert [output.phrase_hit1[i], output.phrase_hit5[i], output.phrase_hit10[i]] == list(counted.values())
        assert (output.phrase_upper[i], output.phrase_cut[i]) == (upper, cut)
        assert output.phrase_type_count[i].tolist() == types
        assert output.phrase_type_hit1[i].tolist() == type_hits
    assert output.phrase_cut.sum() == 1
    assert 0 < output.phrase_hit1.sum() < output.phrase_hit10.sum()


@pytest.mark.parametrize("width", [1, 4])
def test_fewer_regions_than_k(width):
    head = PhraseGrounding(hidden_size=H, heads=2)
    states = encoded(regions=(width, 1, 1), width=width)
    batch = batch_of(states.region_mask)
    batch["phrase_targets"][0, 1, width - 1] = True
    output = head(states, batch)
    assert output.scores.shape == (3, E * R)
    assert output.phrase_hit10[0] == output.phrase_upper[0]


def test_trimming_changes_nothing():
    head = PhraseGrounding(hidden_size=H, heads=2)
    states = encoded(regions=(5, 4, 2))
    batch = batch_of(states.region_mask)
    trimmed = states._replace(regions=states.regions[:, :5], region_mask=states.region_mask[:, :5])
    for whole, short in zip(head(states, batch), head(trimmed, batch), strict=True):
        torch.testing.assert_close(whole, short)


def test_an_image_without_regions_gives_no_nan():
    head = PhraseGrounding(hidden_size=H, heads=3)
    states = encoded(regions=(0, 3, 2))
    output = head(states, batch_of(states.region_mask))
    assert (output.phrase_choice[0] == -1).all() and output.phrase_hit10[0] == 0
    output.scores[output.scores > -math.inf].sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in head.parameters())


def test_every_parameter_is_trained_and_a_batch_without_labels_is_answered():
    head = PhraseGrounding(hidden_size=H, heads=12)
    states = encoded()
    batch = batch_of(states.region_mask)
    output = head(states, {name: batch[name] for name in ("phrase_positions", "region_mask")})
    assert output.phrase_count is None and output.phrase_choice.max() >= 0
    output.scores[output.scores > -math.inf].pow(2).sum().backward()
    gradients = {name: parameter.grad for name, parameter in head.named_parameters()}
    assert set(gradients) == {"query.weight", "query.bias", "key.weight", "key.bias"}
    # A bias of the keys adds the same to all logits of a query, so its gradient is 0 but for rounding.
    assert all(gradients[name].abs().max() > 1e-6 for name in ("query.weight", "query.bias", "key.weight"))


def test_heads_that_do_not_divide_the_hidden_size_are_refused():
    with pytest.raises(InputError, match="hidden_size 24 is not a multiple of heads 5; set heads or head_size"):
        PhraseGrounding(hidden_size=H, heads=5)
    assert PhraseGrounding(hidden_size=H, heads=5, head_size=8).key.out_features == 40


def scenes(samples, prototypes):
    """Captions of three things in any order, each with one region that shows it, and a region of another thing."""
    things = torch.stack([torch.randperm(len(prototypes))[:4] for _ in range(samples)])  # (samples, 4)
    order = torch.stack([torch.randperm(4) for _ in range(samples)])
    shown = things.gather(1, order)
    input_ids = torch.cat([torch.full((samples, 1), 1), things[:, :3] + 3, torch.full((samples, 1), 2)], dim=1)
    text = TextInputs(input_ids, torch.ones_like(input_ids, dtype=torch.bool), torch.zeros_like(input_ids))
    features = prototypes[shown] + 0.1 * torch.randn(samples, 4, prototypes.shape[1])
    mask = torch.ones(samples, 4, dtype=torch.bool)
    batch = {
        "region_mask": mask,
        "phrase_positions": torch.tensor([1, 2, 3]).expand(samples, -1),
        "phrase_targets": things[:, :3, None] == shown[:, None],
        "phrase_mask": torch.ones(samples, 3, dtype=torch.bool),
        "phrase_types": torch.zeros(samples, 3, dtype=torch.int64),
    }
    return text, RegionInputs(features, mask, torch.zeros_like(shown)), batch


@pytest.mark.parametrize(("heads", "fusion"), [(4, "early"), (4, "late"), (1, "early")])
def test_with_the_trunk_and_the_loss_it_learns_to_ground(heads, fusion):
    size = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 64}
    visual_bert = build_visual_bert(
        region_dimension=16,
        random_init=True,
        fusion=fusion,
        pooler=False,
        vocab_size=20,
        max_position_embeddings=8,
        **size,
    )
    head = build_head("visualbert_phrase_grounding", visual_bert, heads=heads, head_size=8)
    optimizer = torch.optim.Adam([*visual_bert.parameters(), *head.parameters()], lr=5e-3)
    prototypes = torch.randn(8, 16)
    for _ in range(80):
        text, regions, batch = scenes(32, prototypes)
        loss = PhraseCrossEntropy()(batch, head(visual_bert(text, regions), batch)._asdict())
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None for p in [*visual_bert.parameters(), *head.parameters()])
        optimizer.step()
    text, regions, batch = scenes(200, prototypes)
    with torch.no_grad():
        output = head(visual_bert.eval()(text, regions), batch)
    assert output.phrase_hit1.sum() / output.phrase_count.sum() > 0.9
