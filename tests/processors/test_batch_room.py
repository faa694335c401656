"""What is large in the samples of a batch is written to its place there; what does not fit is copied, and the same."""

import pytest
import torch

from mmf_visualbert.errors import InputError
from mmf_visualbert.processors.batch_room import BatchRoom, anywhere, batch_room, room_of_sample

SHAPE = (160, 256)


def sample(number, shape=SHAPE, dtype=torch.float16, rooms=1, copied=False):
    for _ in range(rooms):
        large = room_of_sample(shape, dtype)
    large.fill_(number)
    return {"id": torch.tensor(number), "large": large.clone() if copied else large, "small": torch.full((3,), number)}


def stacked(samples):
    return {name: torch.stack([one[name] for one in samples]) for name in samples[0]}


def check(batch, samples):
    expected = stacked(samples)
    assert batch.keys() == expected.keys()
    for name, value in expected.items():
        assert batch[name].dtype == samples[0][name].dtype
        assert torch.equal(batch[name].to(value.dtype), value), name


def test_rows_are_the_batch_itself():
    with batch_room(3) as room:
        samples = [sample(number) for number in range(3)]
        batch = room.stacked(samples)
    check(batch, samples)
    assert batch["large"].data_ptr() == samples[0]["large"].data_ptr()
    assert batch["large"].is_contiguous() and batch["large"].shape == (3, *SHAPE)


@pytest.mark.parametrize(
    "unlike",
    [{"rooms": 2}, {"dtype": torch.float32}, {"copied": True}],
    ids=["asked for twice", "of another type", "made anew"],
)
@pytest.mark.parametrize("place", range(3))
def test_what_lies_elsewhere_is_copied(unlike, place):
    with batch_room(3) as room:
        samples = [sample(number, **(unlike if number == place else {})) for number in range(3)]
        batch = room.stacked(samples)
    check(batch, samples)


def test_without_a_batch_each_has_room_of_its_own():
    before = room_of_sample(SHAPE, torch.float32)
    with batch_room(1), pytest.raises(ValueError, match="within"):
        room_of_sample(SHAPE, torch.float32)
        raise ValueError("within")
    after = room_of_sample(SHAPE, torch.float32)
    assert before.untyped_storage().nbytes() == after.untyped_storage().nbytes() == 4 * 160 * 256


def test_what_is_large_without_asking_is_put_where_the_batch_is():
    made = []

    def allocate(shape, dtype):
        made.append(anywhere(shape, dtype))
        return made[-1]

    with batch_room(2, allocate) as room:
        samples = [{"image": torch.full(SHAPE, float(number)), "names": f"n{number}"} for number in range(2)]
        batch = room.stacked(samples)
    assert batch["names"] == ["n0", "n1"] and batch["image"].data_ptr() == made[0].data_ptr()
    assert torch.equal(batch["image"], torch.stack([one["image"] for one in samples]))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, r"'x' is missing in sample 1 and \(2,\) in sample 0 of the same batch"),
        ({"x": torch.ones(3)}, r"'x' is \(3,\) in sample 1 and \(2,\) in sample 0"),
        ({"x": 3}, r"'x' is no tensor in sample 1 and \(2,\) in sample 0"),
        ({"x": torch.ones(2), "y": torch.ones(2)}, r"'y' is \(2,\) in sample 1 and missing in sample 0"),
    ],
)
def test_samples_that_make_no_batch_are_named(more, said):
    samples = [{"id": torch.tensor(0), "x": torch.ones(2)}, {"id": torch.tensor(1), **more}]
    with pytest.raises(InputError, match=said):
        BatchRoom(2).stacked(samples)


def test_mappings_within_samples_are_stacked_too():
    batch = BatchRoom(2).stacked([{"of": {"x": torch.full((2,), number)}} for number in range(2)])
    assert batch["of"]["x"].tolist() == [[0, 0], [1, 1]]
