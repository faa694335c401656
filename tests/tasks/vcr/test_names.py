"""Tags become words: one name an object, or the released code's names with their collision."""

from mmf_visualbert.tasks.vcr.names import NAMES, RELEASED_NAMES, spell, spell_released

PERSONS = ["person"] * 3


def test_names_in_order_of_mention_and_classes():
    spelled = spell(["Is", [2], "near", [0, 3], "?"], ["person", "person", "person", "pottedplant"])
    assert spelled.words == ["Is", "Casey", "near", "Riley", "pottedplant", "?"]
    assert spelled.objects == [-1, 2, -1, 0, 3, -1]


def test_one_name_an_object_across_context_and_choice():
    context = spell([[0], "like", [1], "?"], PERSONS)
    choice = spell(["Yes", [2], "and", [0]], PERSONS, context.names)
    assert context.words == ["Casey", "like", "Riley", "?"]
    assert choice.words == ["Yes", "Jessie", "and", "Casey"]
    assert context.names == {0: ("Casey",), 1: ("Riley",)}  # a choice leaves no trace for the next one


def test_released_names_collide():
    context = spell_released([[0], "like", [1], "?"], PERSONS)
    choice = spell_released(["Yes", [2], "and", [0]], PERSONS, context.names)
    assert context.words == ["Casey", "like", "Riley", "?"]
    assert choice.words == ["Yes", "Casey", "and", "Casey"]
    assert choice.objects == [-1, 2, -1, 0]


def test_many_persons():
    many = ["person"] * 20
    spelled = spell([[*range(20)]], many)
    assert len(set(spelled.names.values())) == 20
    assert spelled.names[14] == ("Casey", "2") and spelled.names[13] == ("Quinn",)
    assert spelled.objects == [*range(14), *(index for index in range(14, 20) for _ in range(2))]
    released = spell_released([[*range(20)]], many)
    assert released.names[6] == released.names[10] == ("Peyton",)
    assert released.names[15] == ("Casey",)
    assert (len(NAMES), len(RELEASED_NAMES)) == (14, 15)


def test_no_person_takes_a_name_from_another_class():
    assert spell([[0], [1], [2]], ["car", "person", "car"]).words == ["car", "Casey", "car"]
