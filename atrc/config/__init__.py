"""The configuration of an experiment: typed, read from YAML, overridden from the command line.

What the presets hold is listed by `atrc presets`. Unknown keys are refused with the nearest known one.
"""

from atrc.config._load import (
    config_value,
    load_config,
    parse_config,
    preset_names,
    ships,
    variant_names,
    variant_summary,
)
from atrc.config._plugins import import_plugins, source_of
from atrc.config._schema import (
    NO_DATASET,
    Augmentation,
    Compare,
    Config,
    Cost,
    Model,
    Named,
    SearchTraining,
    Training,
    Trials,
)
from atrc.config._upgrade import upgrade_run_config

__all__ = [
    "NO_DATASET",
    "Augmentation",
    "Compare",
    "Config",
    "Cost",
    "Model",
    "Named",
    "SearchTraining",
    "Training",
    "Trials",
    "config_value",
    "import_plugins",
    "load_config",
    "parse_config",
    "preset_names",
    "ships",
    "source_of",
    "upgrade_run_config",
    "variant_names",
    "variant_summary",
]
