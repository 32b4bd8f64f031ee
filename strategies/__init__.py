"""How it is chosen: search strategies, one file each, and the driver `Search`, which runs them all.

Knows search spaces; knows no image and no file format. Modules are loaded when they are first asked for: multi-trial
strategies do not wait for torch. `STRATEGIES` loads those with strategies when a name is looked up.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from strategies import adapters
    from strategies._base import STRATEGIES, NothingNamed, Strategy, build_strategy
    from strategies._budget import Budget, Score, Spent
    from strategies._categorical import Categorical, entropy, gumbel_noise, gumbel_softmax
    from strategies._clipping import clip_gradients
    from strategies._events import AskedEvent, Event, StageEvent, StepEvent, ToldEvent
    from strategies._inherited import InheritedScore
    from strategies._search import Search
    from strategies._step import DataUse, Step
    from strategies.multi_trial import (
        ASHA,
        BANANAS,
        GeneticAlgorithm,
        GridSearch,
        Hyperband,
        LocalSearch,
        MultiTrialStrategy,
        RandomSearch,
        RegularizedEvolution,
        Reinforce,
        Scored,
        SuccessiveHalving,
        Trial,
    )
    from strategies.one_shot import (
        DARTS,
        DSNAS,
        ENAS,
        GDAS,
        MTLNAS,
        SNAS,
        SPOS,
        Choosing,
        DARTSSecondOrder,
        DrNAS,
        FairDARTS,
        Fixed,
        GumbelEntropy,
        GumbelEntropyBiLevel,
        LogitStrategy,
        OneShotStrategy,
        ProxylessNAS,
        RandomWeightSharing,
        SinglePath,
        entropy_below,
        probability_gap,
        resolve_genotype,
    )
else:
    # No name here may be that of a module: it would hide the module.
    __getattr__, __dir__, _ = lazy_loader.attach(
        __name__,
        submodules=["adapters", "multi_trial", "one_shot", "testing"],
        submod_attrs={
            "_base": ["STRATEGIES", "NothingNamed", "Strategy", "build_strategy"],
            "_budget": ["Budget", "Score", "Spent"],
            "_categorical": ["Categorical", "entropy", "gumbel_noise", "gumbel_softmax"],
            "_clipping": ["clip_gradients"],
            "_events": ["AskedEvent", "Event", "StageEvent", "StepEvent", "ToldEvent"],
            "_inherited": ["InheritedScore"],
            "_search": ["Search"],
            "_step": ["DataUse", "Step"],
            "multi_trial": [
                "ASHA",
                "BANANAS",
                "GeneticAlgorithm",
                "GridSearch",
                "Hyperband",
                "LocalSearch",
                "MultiTrialStrategy",
                "RandomSearch",
                "RegularizedEvolution",
                "Reinforce",
                "Scored",
                "SuccessiveHalving",
                "Trial",
            ],
            "one_shot": [
                "DARTS",
                "DSNAS",
                "ENAS",
                "GDAS",
                "MTLNAS",
                "SNAS",
                "SPOS",
                "Choosing",
                "DARTSSecondOrder",
                "DrNAS",
                "FairDARTS",
                "Fixed",
                "GumbelEntropy",
                "GumbelEntropyBiLevel",
                "LogitStrategy",
                "OneShotStrategy",
                "ProxylessNAS",
                "RandomWeightSharing",
                "SinglePath",
                "entropy_below",
                "probability_gap",
                "resolve_genotype",
            ],
        },
    )

__all__ = [
    "ASHA",
    "BANANAS",
    "DARTS",
    "DSNAS",
    "ENAS",
    "GDAS",
    "MTLNAS",
    "SNAS",
    "SPOS",
    "STRATEGIES",
    "AskedEvent",
    "Budget",
    "Categorical",
    "Choosing",
    "DARTSSecondOrder",
    "DataUse",
    "DrNAS",
    "Event",
    "FairDARTS",
    "Fixed",
    "GeneticAlgorithm",
    "GridSearch",
    "GumbelEntropy",
    "GumbelEntropyBiLevel",
    "Hyperband",
    "InheritedScore",
    "LocalSearch",
    "LogitStrategy",
    "MultiTrialStrategy",
    "NothingNamed",
    "OneShotStrategy",
    "ProxylessNAS",
    "RandomSearch",
    "RandomWeightSharing",
    "RegularizedEvolution",
    "Reinforce",
    "Score",
    "Scored",
    "Search",
    "SinglePath",
    "Spent",
    "StageEvent",
    "Step",
    "StepEvent",
    "Strategy",
    "SuccessiveHalving",
    "ToldEvent",
    "Trial",
    "adapters",
    "build_strategy",
    "clip_gradients",
    "entropy",
    "entropy_below",
    "gumbel_noise",
    "gumbel_softmax",
    "probability_gap",
    "resolve_genotype",
]
