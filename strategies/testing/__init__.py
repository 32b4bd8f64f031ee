"""The conformance suite that every strategy passes, and toy problems with a known answer to run it on.

Plain functions that raise AssertionError and need no test framework. A package outside this tree calls them from its
own tests, with the knobs that suit a short search::

    from strategies.testing import check_one_shot

    def test_mine_conforms() -> None:
        check_one_shot(lambda space, seed: Mine(space, seed=seed, lr=0.1))

`check_one_shot` and `check_multi_trial` run every piece; the pieces are public, to find out which one fails. All of
them look at a `strategies.Search`, the very driver that runs searches elsewhere.
"""

from strategies.testing._checks import (
    check_determinism,
    check_global_generators,
    check_ledger,
    check_report,
    check_resume,
    check_same_state,
    check_second_stage,
    check_validity,
)
from strategies.testing._outcomes import (
    check_charge,
    check_constraints,
    check_cost,
    check_expected_rank,
    check_failures,
    check_in_flight,
    check_optimum,
)
from strategies.testing._problems import Problem, SparseSpace, ToyBatches, supernet_problem, table_problem
from strategies.testing._suites import check_multi_trial, check_one_shot, conformance_spaces
from strategies.testing._toy import DeceptiveTable, PlantedTable, ToySupernet, toy_batch

__all__ = [
    "DeceptiveTable",
    "PlantedTable",
    "Problem",
    "SparseSpace",
    "ToyBatches",
    "ToySupernet",
    "check_charge",
    "check_constraints",
    "check_cost",
    "check_determinism",
    "check_expected_rank",
    "check_failures",
    "check_global_generators",
    "check_in_flight",
    "check_ledger",
    "check_multi_trial",
    "check_one_shot",
    "check_optimum",
    "check_report",
    "check_resume",
    "check_same_state",
    "check_second_stage",
    "check_validity",
    "conformance_spaces",
    "supernet_problem",
    "table_problem",
    "toy_batch",
]
