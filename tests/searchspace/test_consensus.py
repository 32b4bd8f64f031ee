"""One genotype out of several, against what can be counted by hand and against all genotypes of small spaces."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchspace import BMTASSpace, CPSpace, Genotype, InputError, SearchSpace, find_consensus

LETTERS = SearchSpace("letters", {"a": ["x", "y", "z"], "b": ["x", "y", "z"], "c": ["only"]})


class Rising(SearchSpace):
    """Three digits that never fall: most combinations are no genotype."""

    def __init__(self) -> None:
        super().__init__("rising", {name: ["0", "1", "2"] for name in "abc"})

    def violation(self, choices: Mapping[str, str]) -> str | None:
        return None if choices["a"] <= choices["b"] <= choices["c"] else "a digit is smaller than the one before"


def of(space: SearchSpace, *words: str) -> list[Genotype]:
    """Genotypes from words: an option of one letter for every choice that has several."""
    free = [choice for choice, options in space.items() if len(options) > 1]
    fixed = {choice: options[0] for choice, options in space.items() if len(options) == 1}
    return [space.genotype({**dict(zip(free, word, strict=True)), **fixed}) for word in words]


def test_votes_are_counted_choice_by_choice() -> None:
    found = find_consensus(LETTERS, of(LETTERS, "xy", "xz", "yy", "xx", "xy"))
    assert dict(found.genotype) == {"a": "x", "b": "y", "c": "only"}
    assert [(vote.choice, vote.option, vote.votes, vote.genotypes) for vote in found.votes] == [
        ("a", "x", 4, 5),
        ("b", "y", 3, 5),
        ("c", "only", 5, 5),
    ]
    assert [vote.share for vote in found.votes] == [0.8, 0.6, 1.0]
    assert [vote.margin for vote in found.votes] == pytest.approx([4 / 5 - 1 / 5, 3 / 5 - 1 / 5, 1.0])
    assert not any(vote.tied or vote.broken_by for vote in found.votes)
    assert found.note == ""


def test_the_consensus_may_be_what_nobody_found() -> None:
    found = find_consensus(LETTERS, of(LETTERS, "xy", "xz", "yx", "zx"))
    assert dict(found.genotype) == {"a": "x", "b": "x", "c": "only"}


def test_one_genotype_is_its_own_consensus() -> None:
    (one,) = of(LETTERS, "zy")
    found = find_consensus(LETTERS, [one])
    assert found.genotype == one
    assert [vote.margin for vote in found.votes] == [1.0, 1.0, 1.0]


class TestTies:
    """Two options of ``a`` have as many votes."""

    two = of(LETTERS, "zy", "yy")

    @staticmethod
    def says(**options: float) -> dict[str, dict[str, float]]:
        return {"a": options, "b": {}, "c": {}}

    def test_the_order_of_the_space_without_probabilities(self) -> None:
        vote = find_consensus(LETTERS, self.two).votes[0]
        assert (vote.option, vote.tied, vote.margin) == ("y", ("z",), 0.0)
        assert vote.broken_by == "first in the space of y, z: no search has probabilities"

    def test_the_larger_mean_log_probability(self) -> None:
        """The mean probability of y is larger, 0.5 to 0.35; the mean logarithm that of z, -1.05 to -1.20."""
        said = [self.says(x=0.0, y=0.1, z=0.35), self.says(x=0.0, y=0.9, z=0.35)]
        vote = find_consensus(LETTERS, self.two, said).votes[0]
        assert (vote.option, vote.tied) == ("z", ("y",))
        assert vote.broken_by == "mean log probability: z -1.05, y -1.2"

    def test_an_option_without_votes_has_no_say(self) -> None:
        said = [self.says(x=0.98, y=0.0, z=0.02)] * 2
        assert find_consensus(LETTERS, self.two, said).votes[0].option == "z"

    def test_searches_without_probabilities_are_left_out(self) -> None:
        vote = find_consensus(LETTERS, self.two, [None, self.says(y=0.25, z=0.75)]).votes[0]
        assert vote.option == "z"
        assert vote.broken_by == "mean log probability (of 1 of 2 searches): z -0.288, y -1.39"

    def test_equal_probabilities_leave_it_to_the_order(self) -> None:
        vote = find_consensus(LETTERS, self.two, [self.says(y=0.2, z=0.4), self.says(y=0.4, z=0.2)]).votes[0]
        assert vote.option == "y"
        assert vote.broken_by == "mean log probability: y -1.26, z -1.26; first in the space of y, z"

    def test_what_is_impossible_to_both_searches_alike(self) -> None:
        """Probabilities of 0 have no logarithm."""
        vote = find_consensus(LETTERS, self.two, [self.says(z=1.0), self.says(y=1.0)]).votes[0]
        assert (vote.option, vote.broken_by) == (
            "y",
            "mean log probability: y -inf, z -inf; first in the space of y, z",
        )

    def test_three_of_which_two_are_alike(self) -> None:
        three, said = of(LETTERS, "xy", "yy", "zy"), [self.says(x=0.2, y=0.4, z=0.4)] * 3
        vote = find_consensus(LETTERS, three, said).votes[0]
        assert (vote.option, vote.tied) == ("y", ("x", "z"))
        assert vote.broken_by == "mean log probability: y -0.916, z -0.916, x -1.61; first in the space of y, z"

    def test_a_clear_vote_is_not_overruled(self) -> None:
        found = find_consensus(LETTERS, of(LETTERS, "xx", "xx", "yx"), [self.says(x=0.01, y=0.99)] * 3)
        assert (found.votes[0].option, found.votes[0].broken_by) == ("x", "")


class TestConstraints:
    """The most frequent options need not go together."""

    def test_counted_by_hand(self) -> None:
        """a: 1 has 3 of 5. b: 0 has 2, 1 has 1, 2 has 2. c: 2 has 3. With b = 0, the digits fall from a to b."""
        space = Rising()
        given = of(space, "001", "002", "111", "122", "122")
        found = find_consensus(space, given)
        assert dict(found.genotype) == {"a": "1", "b": "2", "c": "2"}  # 3 + 2 + 3 votes; the others: 6, 7, 6
        assert found.note == (
            "the most frequent options together are no genotype: a digit is smaller than the one before; the "
            "consensus is the given genotype whose options have the most votes in total, 8 of 15 votes"
        )
        assert [(vote.option, vote.votes, vote.tied, vote.broken_by) for vote in found.votes] == [
            ("1", 3, (), ""),
            ("2", 2, ("0",), "the constraint between choices"),
            ("2", 3, (), ""),
        ]

    def test_an_overruled_vote_has_a_negative_margin(self) -> None:
        """a: 0 has 3 of 5. b: 1 has 3. c: 0 and 1 have 2 each. 0 1 0 falls; 000, 111 and 012 have 7 votes each."""
        space = Rising()
        found = find_consensus(space, of(space, "111", "000", "111", "000", "012"))
        assert "".join(found.genotype.values()) == "000"
        assert found.note.endswith("7 of 15 votes (the first of 3 such in the order of the space)")
        assert [vote.margin for vote in found.votes] == pytest.approx([0.2, -0.2, 0.0])
        assert [vote.tied for vote in found.votes] == [(), (), ("1",)]

    @given(st.lists(st.sampled_from(sorted(Rising().enumerate(), key=Rising().encode)), min_size=1, max_size=7))
    def test_against_brute_force(self, given_: list[Genotype]) -> None:
        space, total = Rising(), lambda g: sum(sum(g[c] == one[c] for one in given_) for c in Rising())
        found = find_consensus(space, given_)
        if found.note:
            assert found.genotype in given_
            assert total(found.genotype) == max(map(total, given_))
        else:  # no legal one has more votes
            assert total(found.genotype) == max(map(total, space.enumerate()))
        assert sum(vote.votes for vote in found.votes) == total(found.genotype)


@given(
    st.lists(st.sampled_from(list(CPSpace(["a", "b"]).enumerate())), min_size=1, max_size=6),
    st.randoms(use_true_random=False),
)
def test_against_brute_force_and_in_any_order(genotypes: list[Genotype], rng: random.Random) -> None:
    """No genotype of the space agrees with the given ones in more choices; shuffled, they have the same consensus."""
    space = CPSpace(["a", "b"])
    said = [{c: {o: rng.random() for o in options} for c, options in space.items()} for _ in genotypes]
    found = find_consensus(space, genotypes, said)
    assert sum(vote.votes for vote in found.votes) == sum(
        max(Counter(genotype[choice] for genotype in genotypes).values()) for choice in space
    )
    shuffled = list(zip(genotypes, said, strict=True))
    rng.shuffle(shuffled)
    assert find_consensus(space, [one for one, _ in shuffled], [its for _, its in shuffled]) == found


class TestTrees:
    """Many genotypes are one tree, which counts as one."""

    space = BMTASSpace(["a", "b", "c"], stages=2)
    shared = space.from_tree([[["a", "b", "c"]], [["a", "b", "c"]]])
    parted = space.from_tree([[["a", "b", "c"]], [["a"], ["b", "c"]]])

    def test_nodes_of_other_names_are_the_same_vote(self) -> None:
        other = self.space.genotype({**dict.fromkeys(self.space, "c")})  # all tasks run through the nodes of c
        assert other != self.shared
        found = find_consensus(self.space, [other, self.shared, self.parted])
        assert found.genotype == self.shared
        assert all(vote.votes >= 2 for vote in found.votes)

    def test_what_is_voted_is_written_in_its_one_form(self) -> None:
        """The head of c reads the node of b, and that of b the node of a: alone in it, c gives the node its own name.

        What no head reads votes, too: of stage 2, the node of b reads b in the three trees where nobody reads it.
        """
        tree = self.space.from_tree
        together_bc = tree([[["a", "b", "c"]], [["a"], ["b", "c"]]])
        together_ab = tree([[["a", "b", "c"]], [["a", "b"], ["c"]]])
        found = find_consensus(self.space, [together_bc, together_bc, together_ab, self.shared, self.shared])
        assert self.space.canonical(found.genotype) == found.genotype
        # head:b 2 x b, 3 x a; head:c 2 x b, c, 2 x a: a tie, the first of the space
        assert self.space.tree(found.genotype) == ((("a", "b", "c"),), (("a", "b", "c"),))
        said = [None, None, None, None, {choice: {"b": 0.9, "a": 0.1} for choice in self.space}]
        found = find_consensus(self.space, [together_bc, together_bc, together_ab, self.shared, self.shared], said)
        assert self.space.tree(found.genotype) == ((("a", "b"), ("c",)), (("a", "b"), ("c",)))
        assert found.genotype["head:c"] == "c"
        assert next(vote.option for vote in found.votes if vote.choice == "head:c") == "b"
        assert found.note == "1 of 6 choices differ from the vote, to bring this network to its canonical form"


def test_what_cannot_be_counted() -> None:
    with pytest.raises(InputError, match="at least one genotype"):
        find_consensus(LETTERS, [])
    with pytest.raises(InputError, match="genotype is for space 'letters', but this is space 'rising'"):
        find_consensus(Rising(), of(LETTERS, "xx"))
    with pytest.raises(ValueError, match="1 probabilities were given for 2 genotypes"):
        find_consensus(LETTERS, of(LETTERS, "xx", "xy"), [None])
