"""The sums of §3.1 and §3.2, written out."""

import pytest
import torch
from tiny_model import ragged, tiny

from mmf_visualbert.modules.inputs import RegionInputs


def by_hand(embeddings, text, regions, position_part):
    rows = []
    for b in range(text.input_ids.size(0)):
        for t in range(text.input_ids.size(1)):
            row = embeddings.word_embeddings.weight[text.input_ids[b, t]] + embeddings.position_embeddings.weight[t]
            rows.append(row + embeddings.token_type_embeddings.weight[text.segments[b, t]])
        for r in range(regions.features.size(1)):
            row = embeddings.visual_projection(regions.features[b, r]) + position_part(b, r)
            rows.append(row + embeddings.visual_token_type_embeddings.weight[regions.segments[b, r]])
    return embeddings.LayerNorm(torch.stack(rows)).view(text.input_ids.size(0), -1, 32)


@pytest.mark.parametrize("alignment", ["sum", "mean"])
def test_sums(alignment):
    embeddings = tiny(alignment=alignment).embeddings
    aligned = torch.full((3, 6, 3), -1)
    aligned[0, 0] = torch.tensor([4, 2, -1])
    aligned[2, 1] = torch.tensor([-1, 3, -1])
    text, regions = ragged(alignment=aligned)

    def position_part(b, r):
        words = [embeddings.position_embeddings.weight[j] for j in aligned[b, r].tolist() if j >= 0]
        total = sum(words, start=torch.zeros(32))
        part = total / max(1, len(words)) if alignment == "mean" else total
        return part + embeddings.visual_position_embeddings.weight[0]

    expected = by_hand(embeddings, text, regions, position_part)
    torch.testing.assert_close(embeddings(text, regions), expected, atol=1e-5, rtol=1e-5)


def test_sum_and_mean_differ_only_with_two_words():
    aligned = torch.tensor([[[3, -1], [3, 5]]])
    _, regions = ragged(lengths=(6,), counts=(1,), alignment=aligned)
    one = tiny(alignment="sum").embeddings
    two = tiny(alignment="mean").embeddings
    two.load_state_dict(one.state_dict())
    ours, theirs = one.regions(regions), two.regions(regions)
    torch.testing.assert_close(ours[0, 0], theirs[0, 0])
    assert not torch.allclose(ours[0, 1], theirs[0, 1])


def test_region_tables_start_as_the_texts():
    from mmf_visualbert.modules.build import build_visual_bert

    embeddings = build_visual_bert(region_dimension=4, random_init=True, hidden_size=12, num_hidden_layers=1).embeddings
    assert torch.equal(embeddings.visual_token_type_embeddings.weight, embeddings.token_type_embeddings.weight)
    assert torch.equal(embeddings.visual_position_embeddings.weight, embeddings.position_embeddings.weight)
    assert embeddings.visual_position_embeddings.weight is not embeddings.position_embeddings.weight


def test_forward_is_text_then_regions():
    embeddings = tiny().embeddings
    text, regions = ragged()
    both = embeddings(text, regions)
    assert both.shape == (3, 12 + 6, 32)
    torch.testing.assert_close(both[:, :12], embeddings(text))
    none = RegionInputs(*(part if part is None else part[:, :0] for part in regions))
    torch.testing.assert_close(embeddings(text, none), embeddings(text))


@pytest.mark.parametrize("alignment", ["sum", "mean"])
def test_no_alignment_at_all(alignment):
    """No columns, or nothing but padding, adds nothing; the table still has a gradient."""
    embeddings = tiny(alignment=alignment).embeddings
    _, regions = ragged()
    plain = embeddings.regions(regions)
    for aligned in (torch.full((3, 6, 2), -1), torch.zeros(3, 6, 0, dtype=torch.int64)):
        torch.testing.assert_close(embeddings.regions(regions._replace(alignment=aligned)), plain)


def test_gradient_of_aligned_positions():
    embeddings = tiny(alignment="mean").embeddings
    embeddings.aligned_positions(torch.tensor([[[3, 5, -1], [3, -1, -1]]])).sum().backward()
    gradient = embeddings.position_embeddings.weight.grad[:, 0]
    assert gradient[[3, 5]].tolist() == [1.5, 0.5] and gradient.sum() == 2
