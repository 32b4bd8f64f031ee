"""The context-pooling (CP) space of ATRC (Sec. 3.3): one context type for every pair of target and source task.

For N tasks there are N x N choices, one CP block each, named ``target<-source``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from searchspace.errors import InputError, UnknownNameError
from searchspace.genotype import Genotype
from searchspace.space import SPACES, SearchSpace

__all__ = ["CANDIDATES", "NONE", "CPSpace", "block", "context_space"]

NONE = "none"
"""The option that cuts the information flow from source to target."""

CANDIDATES = (NONE, "global", "local", "t_label", "s_label")
"""The paper's five candidates, in the order of the released integer codes 0..4."""


def block(target: str, source: str) -> str:
    """Returns the name of the choice for one (target, source) pair: the target attends to the source."""
    return f"{target}<-{source}"


@SPACES.register("cp")
class CPSpace(SearchSpace):
    """All assignments of context types to the N x N blocks of N tasks.

    On the diagonal (target = source) T-label and S-label are one operation, so ``s_label`` is not offered there.

    Args:
        tasks: Names of the tasks, all different, at least one.
        contexts: Names of the candidates. The space itself gives a meaning to ``"none"`` only; the network knows the
            others.

    Example:
        >>> CPSpace(["semseg", "depth"]).size  # 2 diagonal blocks of 4, 2 others of 5
        400
    """

    def __init__(self, tasks: Sequence[str], contexts: Sequence[str] = CANDIDATES) -> None:
        for argument, names in (("tasks", tasks), ("contexts", contexts)):
            if isinstance(names, str) or not all(isinstance(name, str) for name in names):
                raise InputError(f"{argument} of the cp space must be a list of names, got {names!r}")
        self.tasks = tuple(tasks)
        self.contexts = tuple(contexts)
        if not self.tasks:
            raise InputError("the cp space needs at least one task")
        if len(set(self.tasks)) != len(self.tasks):
            raise InputError(f"the cp space got a task twice: {', '.join(self.tasks)}")
        choices = {
            block(target, source): tuple(c for c in self.contexts if target != source or c != "s_label")
            for target, source in self.pairs()
        }
        parameters = {"tasks": list(self.tasks)}
        if self.contexts != CANDIDATES:
            parameters["contexts"] = list(self.contexts)
        super().__init__("cp", choices, parameters)

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Returns every (target, source) pair, row by row."""
        return ((target, source) for target in self.tasks for source in self.tasks)

    def named(self) -> Mapping[str, Genotype]:
        """Returns ``all-CONTEXT`` for every context: that context in every block, see `uniform`."""
        possible = [c for c in self.contexts if c != "s_label" or "t_label" in self.contexts]
        return {f"all-{context}": self.uniform(context) for context in possible}

    def uniform(self, context: str) -> Genotype:
        """Returns the same context in every block (``s_label`` becomes the identical ``t_label`` on the diagonal)."""
        if context not in self.contexts:
            raise UnknownNameError("context type", context, self.contexts)
        return self.genotype({c: context if context in options else "t_label" for c, options in self.items()})

    def from_matrix(self, rows: Mapping[str, Mapping[str, str]]) -> Genotype:
        """Builds a genotype from ``{target: {source: context}}``."""
        choices = {block(t, s): context for t, row in rows.items() for s, context in row.items()}
        return self.genotype(choices)

    def matrix(self, genotype: Mapping[str, str]) -> dict[str, dict[str, str]]:
        """Returns ``{target: {source: context}}``, a table for people to read."""
        return {t: {s: genotype[block(t, s)] for s in self.tasks} for t in self.tasks}


def context_space(genotype: Genotype) -> CPSpace:
    """The context-pooling space of a genotype.

    Raises:
        InputError: It is of another space.
    """
    space = SPACES.create(genotype.space, genotype.parameters)
    if not isinstance(space, CPSpace):
        raise InputError(f"ATRC takes a genotype of the cp space, got one of {genotype.space!r}")
    return space
