"""Search spaces against what can be counted by hand."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from searchspace import BMTASSpace, CPSpace, Genotype, InputError, SearchSpace, ToySpace, UnknownNameError, best_fit

RAGGED = SearchSpace("ragged", {"a": ["x", "y"], "b": ["p", "q", "r"], "c": ["only"], "d": ["1", "2", "3", "4"]})


class Different(SearchSpace):
    """Two choices that must differ: a constraint that the options of one choice cannot express."""

    def __init__(self) -> None:
        super().__init__("different", {"a": ["1", "2", "3"], "b": ["1", "2", "3"], "c": ["1", "2"]})

    def violation(self, choices: Mapping[str, str]) -> str | None:
        return "a and b must differ" if choices["a"] == choices["b"] else None


class Even(SearchSpace):
    """Switches of which an even number is on: no genotype has a neighbour."""

    def __init__(self, switches: int) -> None:
        super().__init__("even", {f"s{i}": ["off", "on"] for i in range(switches)})

    def violation(self, choices: Mapping[str, str]) -> str | None:
        return "an odd number is on" if list(choices.values()).count("on") % 2 else None


class Allowed(SearchSpace):
    """A space in which some combinations are allowed, given by their place in the enumeration of all."""

    def __init__(self, choices: Mapping[str, Sequence[str]], places: Collection[int]) -> None:
        super().__init__("allowed", choices)
        combinations = itertools.product(*self.values())
        self.allowed = {options for place, options in enumerate(combinations) if place in places}

    def violation(self, choices: Mapping[str, str]) -> str | None:
        return None if tuple(choices[choice] for choice in self) in self.allowed else "not allowed"


@st.composite
def constrained_spaces(draw: st.DrawFn) -> Allowed:
    """Up to 4 choices of up to 3 options, of which at least one combination is allowed."""
    widths = draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    places = draw(st.sets(st.integers(0, math.prod(widths) - 1), min_size=1))
    return Allowed({f"c{i}": [f"o{k}" for k in range(width)] for i, width in enumerate(widths)}, places)


names = st.text("abc<- ", min_size=1, max_size=3)
spaces = st.dictionaries(names, st.lists(names, min_size=1, max_size=5, unique=True), min_size=1, max_size=5).map(
    lambda choices: SearchSpace("any", choices)
)


def test_a_space_is_the_mapping_that_was_declared() -> None:
    assert list(RAGGED) == ["a", "b", "c", "d"]
    assert len(RAGGED) == 4
    assert RAGGED["b"] == ("p", "q", "r")
    assert "b" in RAGGED
    assert "z" not in RAGGED
    assert RAGGED.get("z") is None
    assert "4 choices, 24 genotypes" in repr(RAGGED)


def test_later_changes_of_the_declaration_do_not_reach_the_space() -> None:
    options = ["x", "y"]
    choices = {"a": options}
    space = SearchSpace("s", choices)
    options.append("z")
    choices["b"] = ["x"]
    assert dict(space) == {"a": ("x", "y")}
    with pytest.raises(TypeError):
        space["a"] = ("z",)  # type: ignore[index]


def test_equality_follows_name_choices_and_order() -> None:
    same = SearchSpace("ragged", dict(RAGGED))
    assert same == RAGGED
    assert hash(same) == hash(RAGGED)
    assert SearchSpace("other", dict(RAGGED)) != RAGGED
    assert SearchSpace("ragged", dict(reversed(list(RAGGED.items())))) != RAGGED
    assert dict(RAGGED) != RAGGED


@pytest.mark.parametrize("space", [RAGGED, Different(), ToySpace(seed=3)])
def test_pickle_and_deepcopy(space: SearchSpace) -> None:
    assert pickle.loads(pickle.dumps(space)) == space
    assert copy.deepcopy(space) == space


@given(spaces)
def test_size_is_the_product_of_the_widths(space: SearchSpace) -> None:
    assert space.size == math.prod(len(options) for options in space.values())


def test_enumerate_gives_every_genotype_once_with_the_last_choice_fastest() -> None:
    found = [tuple(g.values()) for g in RAGGED.enumerate()]
    assert found == list(itertools.product("xy", "pqr", ["only"], "1234"))
    assert len(set(RAGGED.enumerate())) == RAGGED.size == 24


def test_enumerate_is_lazy() -> None:
    vast = SearchSpace("vast", {f"c{i}": [str(j) for j in range(10)] for i in range(50)})
    assert vast.size == 10**50
    assert set(next(vast.enumerate()).values()) == {"0"}


def test_samples_are_uniform() -> None:
    rng = random.Random(0)
    counts = Counter(RAGGED.sample(rng) for _ in range(4800))
    assert chisquare([counts[g] for g in RAGGED.enumerate()]).pvalue > 0.01


def test_samples_are_uniform_under_a_constraint() -> None:
    space, rng = Different(), random.Random(0)
    allowed = list(space.enumerate())
    counts = Counter(space.sample(rng) for _ in range(2400))
    assert set(counts) == set(allowed)
    assert chisquare([counts[g] for g in allowed]).pvalue > 0.01


def test_a_seed_fixes_the_samples() -> None:
    one, other = random.Random(5), random.Random(5)
    assert [RAGGED.sample(one) for _ in range(9)] == [RAGGED.sample(other) for _ in range(9)]


def test_without_constraints_a_sample_takes_one_draw_a_choice() -> None:
    one, other = random.Random(5), random.Random(5)
    for _ in range(9):
        assert list(RAGGED.sample(one).values()) == [other.choice(options) for options in RAGGED.values()]
    assert one.random() == other.random()


@pytest.mark.parametrize("seed", range(4))
def test_what_is_too_rare_to_be_drawn_is_sampled_from_a_list(seed: int) -> None:
    space = Allowed({f"c{i}": ["0", "1"] for i in range(18)}, {77, 200_000})
    assert space.sample(random.Random(seed)) in set(space.enumerate())


def test_samples_from_a_list_are_uniform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("searchspace.space.DRAWS", 2)
    space, rng = Allowed({"a": list("xyz"), "b": list("pqr")}, {0, 4, 7}), random.Random(0)
    counts = Counter(space.sample(rng) for _ in range(1200))
    assert chisquare([counts[g] for g in space.enumerate()]).pvalue > 0.01


def test_constraints_that_nothing_meets() -> None:
    with pytest.raises(InputError, match="'allowed' has no genotype: every combination of options breaks"):
        Allowed({"a": ["x", "y"]}, ()).sample(random.Random(0))


def test_a_space_too_large_to_list_says_why_nothing_was_drawn() -> None:
    vast = Allowed({f"c{i}": ["0", "1"] for i in range(20)}, {3})
    with pytest.raises(
        InputError, match=r"10000 draws broke a constraint.*not allowed.*1.05e\+06 .* too many to list"
    ):
        vast.sample(random.Random(0))


@given(constrained_spaces(), st.integers(0, 2**32))
def test_samples_of_constrained_spaces_are_legal(space: Allowed, seed: int) -> None:
    assert space.sample(random.Random(seed)) in set(space.enumerate())


@given(constrained_spaces(), st.integers(0, 2**32), st.integers(1, 4))
def test_mutants_of_constrained_spaces_are_legal_and_as_near_as_promised(
    space: Allowed, seed: int, changes: int
) -> None:
    rng = random.Random(seed)
    start = space.sample(rng)
    distances = {start.distance(other) for other in space.enumerate()} - {0}
    free = sum(len(options) > 1 for options in space.values())
    if changes > free or not distances:
        with pytest.raises(InputError):
            space.mutate(start, rng, changes)
        assert distances or space.nearest(start, changes) == []
        return
    larger = {distance for distance in distances if distance >= changes}
    promised = min(larger) if larger else max(distances)
    mutant = space.mutate(start, rng, changes)
    assert mutant in set(space.enumerate())
    assert mutant.distance(start) == promised
    assert set(space.nearest(start, changes)) == {g for g in space.enumerate() if g.distance(start) == promised}


@pytest.mark.parametrize("switches", [2, 4, 20, 60])
def test_without_a_legal_neighbour_the_mutant_is_at_the_next_distance(switches: int) -> None:
    space, rng = Even(switches), random.Random(0)
    start = space.sample(rng)
    assert list(space.neighbours(start)) == []
    assert space.mutate(start, rng).distance(start) == 2
    assert len(space.nearest(start)) == math.comb(switches, 2)


def test_mutants_from_a_list_are_uniform_over_the_choices_with_an_alternative() -> None:
    """Of the six legal mutants two change b and c, four change a and b, where an option of a is one in four."""
    space = Allowed({"a": list("01234"), "b": ["0", "1"], "c": ["0", "1", "2"]}, [])
    space.allowed = {("0", "0", "0"), *itertools.product("1234", "1", "0"), *itertools.product("0", "1", "12")}
    start, rng = space.decode([0, 0, 0]), random.Random(0)
    counts = Counter(space.mutate(start, rng)["a"] == "0" for _ in range(1000))
    assert chisquare([counts[True], counts[False]]).pvalue > 0.01


def test_a_space_of_one_genotype_has_nothing_to_mutate_to() -> None:
    single = SearchSpace("single", {"a": ["x"], "b": ["y"]})
    with pytest.raises(InputError, match="'single' has one genotype"):
        single.mutate(single.decode([0, 0]), random.Random(0))
    alone = Allowed({"a": ["x", "y"], "b": ["x", "y"]}, {1})
    with pytest.raises(InputError, match=r"'allowed': no mutation of \{'a': 'x', 'b': 'y'\} was found"):
        alone.mutate(alone.decode([0, 1]), random.Random(0))


@pytest.mark.parametrize("distance", [0, 1, 2, 3, 4])
def test_neighbours_at_any_distance(distance: int) -> None:
    start = RAGGED.decode([1, 2, 0, 3])
    found = list(RAGGED.neighbours(start, distance))
    assert len(found) == len(set(found))
    assert set(found) == {g for g in RAGGED.enumerate() if g.distance(start) == distance}


def test_a_constraint_between_choices_holds_everywhere() -> None:
    space = Different()
    assert len(list(space.enumerate())) == 3 * 2 * 2
    start = space.genotype({"a": "1", "b": "2", "c": "1"})
    assert {tuple(n.values()) for n in space.neighbours(start)} == {("3", "2", "1"), ("1", "3", "1"), ("1", "2", "2")}
    rng = random.Random(0)
    assert all(m["a"] != m["b"] for m in (space.mutate(start, rng, changes=2) for _ in range(50)))
    with pytest.raises(InputError, match=r"'different'.*a and b must differ"):
        space.genotype({"a": "1", "b": "1", "c": "1"})


def test_neighbours_are_all_genotypes_at_distance_one() -> None:
    start = RAGGED.decode([1, 2, 0, 3])
    near = list(RAGGED.neighbours(start))
    assert len(near) == len(set(near)) == 1 + 2 + 0 + 3
    assert set(near) == {g for g in RAGGED.enumerate() if g.distance(start) == 1}


@pytest.mark.parametrize("changes", [1, 2, 3])
def test_mutate_changes_exactly_so_many_choices(changes: int) -> None:
    rng = random.Random(0)
    start = RAGGED.decode([0, 0, 0, 0])
    mutants = {RAGGED.mutate(start, rng, changes) for _ in range(400)}
    assert mutants == {g for g in RAGGED.enumerate() if g.distance(start) == changes}


def test_mutation_is_uniform_over_the_choices_with_an_alternative() -> None:
    rng = random.Random(0)
    start = RAGGED.decode([0, 0, 0, 0])
    changed = Counter(next(iter(start.diff(RAGGED.mutate(start, rng)))) for _ in range(3000))
    assert set(changed) == {"a", "b", "d"}
    assert chisquare(list(changed.values())).pvalue > 0.01


@pytest.mark.parametrize("changes", [0, 4, -1])
def test_mutate_refuses_an_impossible_number_of_changes(changes: int) -> None:
    with pytest.raises(InputError, match=rf"1\.\.3, got {changes}"):
        RAGGED.mutate(RAGGED.decode([0, 0, 0, 0]), random.Random(0), changes)


@given(spaces, st.integers(0, 2**32))
def test_decode_is_the_inverse_of_encode(space: SearchSpace, seed: int) -> None:
    genotype = space.sample(random.Random(seed))
    code = space.encode(genotype)
    assert [space[c][i] for c, i in zip(space, code, strict=True)] == list(genotype.values())
    assert space.decode(code) == genotype


@pytest.mark.parametrize(
    ("indices", "message"), [([0, 0, 0], "4 choices, got 3"), ([0, 3, 0, 0], r"'b'.*0\.\.2, got 3")]
)
def test_decode_refuses_what_is_out_of_range(indices: list[int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        RAGGED.decode(indices)
    with pytest.raises(InputError, match=r"'a'.*got -1"):
        RAGGED.decode([-1, 0, 0, 0])


def test_genotype_takes_any_order_and_keeps_that_of_the_space() -> None:
    genotype = RAGGED.genotype({"d": "4", "c": "only", "b": "q", "a": "x"})
    assert list(genotype.items()) == [("a", "x"), ("b", "q"), ("c", "only"), ("d", "4")]


def test_genotype_errors_name_the_nearest() -> None:
    space = SearchSpace("s", {"norm": ["batch", "group"], "act": ["relu"]})
    with pytest.raises(UnknownNameError, match=r"unknown choice 'nrom' \(space 's'\), did you mean 'norm'\?"):
        space.genotype({"nrom": "batch", "act": "relu"})
    with pytest.raises(UnknownNameError, match=r"unknown option 'grop' \(choice 'norm'\), did you mean 'group'\?"):
        space.genotype({"norm": "grop", "act": "relu"})
    with pytest.raises(InputError, match="lacks the choice 'act'"):
        space.genotype({"norm": "batch"})
    with pytest.raises(UnknownNameError, match="known: norm, act"):
        space["width"]


def test_validate_refuses_a_genotype_of_another_space() -> None:
    genotype = RAGGED.decode([1, 1, 0, 1])
    assert RAGGED.validate(genotype) == genotype
    with pytest.raises(InputError, match="for space 'other', but this is space 'ragged'"):
        RAGGED.validate(Genotype("other", dict(genotype)))
    with pytest.raises(InputError):
        RAGGED.validate(Genotype("ragged", {**genotype, "b": "x"}))


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({}, "no choices"),
        ({"a": []}, "'a'.*list of option names"),
        ({"a": "xyz"}, "'a'.*list of option names, got 'xyz'"),
        ({"a": 3}, "'a'.*list of option names, got 3"),
        ({"a": {"x": 1}}, "'a'.*list of option names"),
        ({"a": [True, False]}, "'a'.*list of option names"),
        ({"a": ["x", "y", "x"]}, "'a'.*option twice"),
        ({1: ["x"]}, "must have names, got 1"),
    ],
)
def test_declarations_that_cannot_be_used(choices: dict[str, list[str]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SearchSpace("s", choices)


@pytest.mark.parametrize("seed", range(5))
def test_the_optimum_of_a_toy_space_is_its_single_best_genotype(seed: int) -> None:
    toy = ToySpace(choices=3, options=3, seed=seed)
    scores = {g: toy.score(g) for g in toy.enumerate()}
    assert max(scores, key=scores.__getitem__) == toy.optimum
    assert toy.score(toy.optimum) == 0
    assert sorted(scores.values())[-2] <= -0.2
    assert toy.costs == ToySpace(choices=3, options=3, seed=seed).costs


def test_toy_spaces_of_different_seeds_have_different_optima() -> None:
    assert len({ToySpace(seed=seed).optimum for seed in range(10)}) > 5
    with pytest.raises(InputError, match="options=1"):
        ToySpace(options=1)


def test_by_default_an_option_that_all_choices_have_names_a_genotype() -> None:
    class Odd(SearchSpace):
        def violation(self, choices: Mapping[str, str]) -> str | None:
            return "not all x" if set(choices.values()) == {"x"} else None

    choices = {"a": ["x", "y", "z"], "b": ["y", "x"]}
    assert dict(SearchSpace("s", choices).named()) == {
        f"all-{o}": SearchSpace("s", choices).genotype({"a": o, "b": o}) for o in ("x", "y")
    }
    assert list(Odd("odd", choices).named()) == ["all-y"]


def test_names_of_the_spaces_of_the_papers() -> None:
    cp = CPSpace(["a", "b"], contexts=["none", "s_label"])
    assert list(cp.named()) == ["all-none"]
    assert dict(CPSpace(["a", "b"]).named()["all-s_label"])["a<-a"] == "t_label"
    trees = BMTASSpace(["a", "b"], stages=2)
    assert trees.named() == {"shared": trees.shared(), "split": trees.split()}


def test_the_best_fit_is_what_was_made_for_the_most_derived_kind() -> None:
    class OwnSpace(CPSpace):
        pass

    class ForCP:
        space_type = CPSpace

    class ForOwn:
        space_type = OwnSpace

    class ForAny:
        space_type = SearchSpace

    own, cp, toy = OwnSpace(["a"]), CPSpace(["a"]), ToySpace()
    assert best_fit({"any": ForAny, "cp": ForCP, "own": ForOwn}, own) is ForOwn
    assert best_fit({"own": ForOwn, "cp": ForCP, "any": ForAny}, cp) is ForCP
    assert best_fit({"any": ForAny, "cp": ForCP}, own) is ForCP
    assert best_fit({"cp": ForCP, "any": ForAny}, toy) is ForAny
    assert best_fit({"cp": ForCP}, toy) is None
