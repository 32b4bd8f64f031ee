"""Makes the paths of a config absolute. Runs keep absolute paths, so they can be used from any folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from atrc.backbones import BACKBONES
from atrc.config import Compare, Config, Model, Named
from atrc.config._plugins import is_file
from atrc.contexts import CONTEXTS
from atrc.data import DATASETS
from atrc.distillation import DISTILLATIONS
from atrc.heads import HEADS
from atrc.necks import NECKS
from atrc.tasks import TASKS
from atrc.training.scoring import SCORERS
from searchspace import SPACES, Registry
from searchspace.paths import in_full, options_in_full
from strategies import STRATEGIES

__all__ = ["absolute_paths"]

OF_BACKBONES = ("weights", "branches")
"""Options that are paths for any backbone."""


def absolute_paths(config: Config) -> Config:
    """Returns the config with absolute paths. Relative ones count from the working directory.

    A registered class or function lists its path options in the attribute ``paths``. Options of a name that is not
    registered stay as they are, so plugins must be imported first.
    """
    changed = {
        "plugins": [in_full(plugin) if is_file(plugin) else plugin for plugin in config.plugins],
        "dataset": _named(DATASETS, config.dataset),
        "tasks": _each(TASKS, config.tasks),
        "backbone": _named(BACKBONES, config.backbone, OF_BACKBONES),
        "space": _named(SPACES, config.space),
        "strategy": _named(STRATEGIES, config.strategy),
        "model": _model(config.model),
        "trials": config.trials.model_copy(update={"scorer": _named(SCORERS, config.trials.scorer)}),
        "compare": None if config.compare is None else _compare(config.compare),
    }
    return config.model_copy(update=changed)


def _model(model: Model) -> Model:
    changed = {
        "neck": None if model.neck is None else _named(NECKS, model.neck),
        "head": _named(HEADS, model.head),
        "contexts": _each(CONTEXTS, model.contexts),
        "distillations": _each(DISTILLATIONS, model.distillations),
    }
    return model.model_copy(update=changed)


def _compare(compare: Compare) -> Compare:
    strategies = {label: _named(STRATEGIES, named) for label, named in compare.strategies.items()}
    return compare.model_copy(update={"strategies": strategies})


def _named(registry: Registry[Any], named: Named, more: Iterable[str] = ()) -> Named:
    options = options_in_full(more, _options(registry, named.name, named.options))
    return Named.model_validate({"name": named.name, **options})


def _each(registry: Registry[Any], options: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: _options(registry, name, of) for name, of in options.items()}


def _options(registry: Registry[Any], name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options of a registered name with absolute paths. Functions may have ``paths``, too."""
    entry: Any = registry.get(name)
    if hasattr(entry, "with_full_paths"):
        return dict(entry.with_full_paths(options))
    return options_in_full(getattr(entry, "paths", ()), options)
