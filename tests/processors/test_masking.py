"""Masked language modeling: what is hidden, and how often."""

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from mmf_visualbert.errors import InputError
from mmf_visualbert.processors.masking import NOT_MASKED, MaskedLanguageModeling
from mmf_visualbert.processors.text import SPECIAL_TOKENS, TextAssembler, WordPieceTokenizer

WORDS = [f"word{i}" for i in range(200)]


@pytest.fixture
def tokenizer():
    tokens = [*SPECIAL_TOKENS, "[unused0]", "[unused1]", *WORDS]
    return WordPieceTokenizer({token: index for index, token in enumerate(tokens)})


@pytest.fixture
def assembled(tokenizer):
    return TextAssembler(tokenizer, max_seq_length=128).pair(
        " ".join(WORDS[:60]), " ".join([*WORDS[60:100], "unheard"])
    )


def test_shares_of_the_paper(tokenizer, assembled):
    masking = MaskedLanguageModeling(tokenizer)
    original = assembled.input_ids
    runs = [masking(assembled) for _ in range(2000)]
    seen = torch.stack([run.input_ids for run in runs])
    labels = torch.stack([run.masked_lm_labels for run in runs])
    chosen = labels != NOT_MASKED
    assert torch.equal(labels[chosen], original.expand_as(labels)[chosen])
    assert torch.equal(seen[~chosen], original.expand_as(seen)[~chosen])

    maskable = torch.ones(128, dtype=torch.bool)
    maskable[[0, 61, 102, 103]] = False  # [CLS], [SEP], [UNK], [SEP]
    maskable[104:] = False
    assert not chosen[:, ~maskable].any()
    assert int(maskable.sum()) == 100
    # 200,000 draws: four standard deviations are 0.3 % of pieces, and 0.9 % of the 30,000 chosen.
    assert abs(float(chosen[:, maskable].float().mean()) - 0.15) < 0.0032
    share_by_place = chosen[:, maskable].float().mean(0)
    assert float(share_by_place.min()) > 0.11
    assert float(share_by_place.max()) < 0.19
    masked = seen[chosen] == tokenizer.mask_id
    kept = seen[chosen] == labels[chosen]
    assert abs(float(masked.float().mean()) - 0.8) < 0.01
    assert abs(float(kept.float().mean()) - 0.1 - 0.1 / 200) < 0.008
    replacements = seen[chosen][~masked & ~kept]
    assert set(replacements.tolist()) == set(range(7, 207))  # every word, no special and no unused place


def test_at_least_one_piece_and_evenly(tokenizer):
    assembled = TextAssembler(tokenizer, max_seq_length=8).single(" ".join(WORDS[:3]))
    masking = MaskedLanguageModeling(tokenizer, probability=1e-9)
    chosen = torch.stack([masking(assembled).masked_lm_labels != NOT_MASKED for _ in range(900)])
    assert torch.equal(chosen.sum(1), torch.ones(900, dtype=torch.int64))
    assert all(240 < int(count) < 360 for count in chosen.sum(0)[1:4])


def test_all_pieces_with_probability_one(tokenizer, assembled):
    labels = MaskedLanguageModeling(tokenizer, probability=1, mask_share=1, random_share=0)(assembled).masked_lm_labels
    assert int((labels != NOT_MASKED).sum()) == 100


def test_nothing_to_mask(tokenizer):
    assembled = TextAssembler(tokenizer, max_seq_length=8).single("unheard of")
    masked = MaskedLanguageModeling(tokenizer)(assembled)
    assert torch.equal(masked.input_ids, assembled.input_ids)
    assert (masked.masked_lm_labels == NOT_MASKED).all()


def test_the_text_itself_is_left_alone(tokenizer, assembled):
    before = assembled.input_ids.clone()
    MaskedLanguageModeling(tokenizer, probability=1)(assembled)
    assert torch.equal(assembled.input_ids, before)


def test_repeats_with_the_seed_and_only_then(tokenizer, assembled):
    masking = MaskedLanguageModeling(tokenizer)
    torch.manual_seed(3)
    first, second = masking(assembled), masking(assembled)
    torch.manual_seed(3)
    again = masking(assembled)
    assert torch.equal(first.input_ids, again.input_ids)
    assert torch.equal(first.masked_lm_labels, again.masked_lm_labels)
    assert not torch.equal(first.masked_lm_labels, second.masked_lm_labels)


class Repeated(Dataset):
    """The same text twelve times."""

    def __init__(self, masking, assembled):
        self.masking, self.assembled = masking, assembled

    def __len__(self):
        return 12

    def __getitem__(self, index):
        return self.masking(self.assembled).masked_lm_labels


def epochs(dataset, seed):
    torch.manual_seed(seed)
    loader = DataLoader(dataset, batch_size=3, num_workers=2)
    return [torch.cat(list(loader)) for _ in range(2)]


def test_differs_by_epoch_and_worker_and_repeats_with_the_seed(tokenizer, assembled):
    dataset = Repeated(MaskedLanguageModeling(tokenizer), assembled)
    first, second = epochs(dataset, seed=5)
    rows = torch.cat([first, second])
    assert len(rows.unique(dim=0)) == len(rows)  # two workers, two epochs: no mask comes twice
    assert all(torch.equal(a, b) for a, b in zip((first, second), epochs(dataset, seed=5), strict=True))


def test_senseless_shares(tokenizer):
    with pytest.raises(InputError, match="shares"):
        MaskedLanguageModeling(tokenizer, mask_share=0.9, random_share=0.2)
    with pytest.raises(InputError, match="probability"):
        MaskedLanguageModeling(tokenizer, probability=0)
