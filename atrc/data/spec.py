"""The YAML file that describes a folder of images and labels.

A complete example, in which ``{id}`` stands for a line of a split file::

    name: My photos
    images: images/{id}.jpg
    splits: {train: train.txt, val: val.txt}
    exclude: ["0536"]
    size: [96, 64]
    tasks:
      semseg:
        file: semseg/{id}.png
        classes: [background, person, dog]
      saliency:
        from: semseg
        positive: "> 0"
      edge:
        from: semseg
        boundaries: true
        positive_weight: 0.95
      depth:
        file: depth/{id}.png
        scale: 0.001

All paths are relative to the dataset's root folder. A task's section may also hold keyword arguments of the task's
class (``positive_weight`` above); they reach the task through `DatasetInfo.tasks`.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictStr, ValidationError, field_validator, model_validator

from atrc.tasks import IGNORE, TASKS
from searchspace.errors import InputError, UnknownNameError, did_you_mean
from searchspace.text import read_text
from searchspace.yaml_text import YAMLError, read_yaml

__all__ = ["FolderSpec", "InJson", "LabelSpec", "load_spec", "shipped_specs"]

COMPARISON = re.compile(r"\s*(>=|<=|==|!=|>|<)\s*(-?\d+(?:\.\d+)?)\s*")
"""Form of ``positive``, e.g. ``"> 0"``."""

RESIZE_OF_TASK: Mapping[str, Literal["nearest", "any"]] = {"edge": "any"}
"""Default of ``resize`` for labels from files, by task; all other tasks take the nearest pixel."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InJson(_Model):
    """A value kept in a JSON file.

    Attributes:
        json_file: Path of the file, relative to the root; ``json`` in the YAML.
        key: Key at the top level of the file.
    """

    json_file: StrictStr = Field(alias="json")
    key: StrictStr

    def read(self, root: Path | None) -> Any:
        """Reads the value.

        Raises:
            InputError: The file or the key does not exist, or no root is given.
        """
        if root is None:
            raise InputError(f"{self.json_file} holds {self.key!r}: give the dataset's root folder")
        path = root / self.json_file
        try:
            content = json.loads(read_text(path))
        except FileNotFoundError:
            raise InputError(f"{path}: no such file (the dataset's spec reads {self.key!r} from it)") from None
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: not readable as JSON ({error})") from None
        if not isinstance(content, dict):
            raise InputError(f"{path}: expected an object with the key {self.key!r} at the top level")
        if self.key not in content:
            raise UnknownNameError("key", self.key, content, str(path))
        return content[self.key]


class LabelSpec(_Model):
    """The source of one task's label maps.

    Exactly one of `file` and `source` is given. Values are processed in this order: `ignore` or `invalid` pixels are
    set aside. Class maps then go through one of `positive`, `lookup` and `offset`; measured maps go through `scale`
    and `offset`, `signs` and `unit`. `boundaries` is applied to a class map after it was resized.

    Attributes:
        file: Pattern with ``{id}`` of a ``.png`` or ``.npy`` file, relative to the root.
        source: Another task of the same spec whose class map is the source; ``from`` in the YAML.
        classes: Names of the classes, their number, or a reference to names in a JSON file.
        ignore: Values that become 255. The default is 255 only; with `positive` on a file, none.
        offset: Number that is added to every value (class maps: a whole number).
        lookup: New class of each class: a list, a mapping, or a reference to either in a JSON file.
        positive: Comparison such as ``"> 0"``: the label is 1 where it holds, 0 elsewhere.
        boundaries: Whether the label is 1 where the class differs from the right or the lower neighbour's, see
            `atrc.data.derive.boundaries`.
        scale: Factor on the values of a measured map, e.g. 0.001 for millimetres.
        invalid: Value of a measured map that means "not measured" (``.nan`` for not-a-number); 0 always means that.
        signs: One factor per channel, e.g. ``[1, -1, -1]`` for normals with y down and z away from the camera.
        unit: Whether the vectors of a map with channels are scaled to length 1.
        resize: ``nearest`` takes the nearest pixel. With ``any``, a pixel is 1 if any pixel of its area in the file
            is 1, so that thin lines survive. The default is ``any`` for edge files, else ``nearest``.
        options: Keyword arguments of the task's class.
    """

    file: StrictStr | None = None
    source: StrictStr | None = Field(None, alias="from")
    classes: list[StrictStr] | int | InJson | None = None
    ignore: list[int] | None = None
    offset: float = 0.0
    lookup: dict[int, int] | InJson | None = None
    positive: StrictStr | None = None
    boundaries: bool = False
    scale: float = 1.0
    invalid: float | None = None
    signs: list[float] | None = None
    unit: bool = False
    resize: Literal["nearest", "any"] | None = None
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("file")
    @classmethod
    def _check_pattern(cls, pattern: str | None) -> str | None:
        return None if pattern is None else _pattern(pattern)

    @field_validator("classes", mode="before")
    @classmethod
    def _check_classes(cls, value: Any) -> Any:
        if _is_json_reference(value):
            return _in_json(value)
        if isinstance(value, list):
            good = bool(value) and all(isinstance(name, str) for name in value)
        else:
            good = isinstance(value, int) and not isinstance(value, bool) and value > 0
        if not good:
            raise ValueError(f"expected a list of names, their number or {{json: FILE, key: KEY}}, got {value!r}")
        return value

    @field_validator("lookup", mode="before")
    @classmethod
    def _check_lookup(cls, value: Any) -> Any:
        return _in_json(value) if _is_json_reference(value) else as_lookup(value)

    @field_validator("positive")
    @classmethod
    def _check_positive(cls, value: str | None) -> str | None:
        if value is not None and COMPARISON.fullmatch(value) is None:
            raise ValueError(f'expected a comparison with a number such as "> 0", got {value!r}')
        return value

    @model_validator(mode="after")
    def _check_combination(self) -> LabelSpec:
        if (self.file is None) == (self.source is None):
            raise ValueError("give either 'file' or 'from'")
        rules = {"lookup": self.lookup, "positive": self.positive, "boundaries": self.boundaries}
        given = [name for name, value in rules.items() if value]
        if len(given) > 1:
            raise ValueError(f"give only one of {' and '.join(repr(name) for name in given)}")
        if self.source is not None and not given:
            raise ValueError("'from' needs one of 'lookup', 'positive' and 'boundaries'")
        return self


class FolderSpec(_Model):
    """A dataset in a folder: the whole YAML.

    Attributes:
        name: Name for titles and tables.
        images: Pattern with ``{id}`` of the images, relative to the root.
        splits: Split name -> text file with one id per line.
        exclude: Ids to leave out of every split.
        size: ``(H, W)`` to which images and labels are resized.
        resample: False if all images must already have this size, unless the user asks for a size.
        download: Source of the files, for the message if they are missing.
        tasks: Task name -> source of its labels.
    """

    name: StrictStr
    images: StrictStr
    splits: dict[str, StrictStr] = Field(min_length=1)
    exclude: list[StrictStr] = Field(default_factory=list)
    size: tuple[int, int] | None = None
    resample: bool = True
    download: StrictStr | None = None
    tasks: dict[str, LabelSpec]

    @field_validator("images")
    @classmethod
    def _check_images(cls, pattern: str) -> str:
        return _pattern(pattern)

    @field_validator("exclude", mode="before")
    @classmethod
    def _check_exclude(cls, value: Any) -> Any:
        for item in value if isinstance(value, list) else []:
            if not isinstance(item, str):
                # YAML reads 0536 as an octal number, which would silently be another id.
                raise ValueError(f"{item!r} is a number: write ids in quotes")
        return value

    @field_validator("size")
    @classmethod
    def _check_size(cls, value: tuple[int, int] | None) -> tuple[int, int] | None:
        if value is not None and min(value) < 1:
            raise ValueError(f"expected [height, width], both at least 1, got {list(value)}")
        return value


def load_spec(spec: str | Path | Mapping[str, Any]) -> FolderSpec:
    """Reads and checks a spec.

    Args:
        spec: Path of a YAML file, the name of a shipped one (`shipped_specs`), or the mapping itself.

    Raises:
        InputError: The file does not exist, or its content cannot be used; the message says where.
    """
    if isinstance(spec, Mapping):
        return _validate(dict(spec), "spec")
    path = Path(spec).expanduser()
    if not path.is_file():
        shipped = shipped_specs()
        if path.suffix or len(path.parts) > 1:
            raise InputError(f"{path}: no such file; a dataset spec is a YAML file or one of {', '.join(shipped)}")
        if str(spec) not in shipped:
            raise UnknownNameError("dataset spec", str(spec), shipped)
        path = shipped[str(spec)]
    try:
        content = read_yaml(read_text(path))
    except (OSError, UnicodeError, YAMLError) as error:
        raise InputError(f"{path}: not readable as YAML ({' '.join(str(error).split())})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a mapping with the keys {', '.join(FolderSpec.model_fields)}")
    return _validate(content, str(path))


def shipped_specs() -> dict[str, Path]:
    """Returns name -> path of the specs that come with the package."""
    folder = resources.files("atrc") / "presets" / "datasets"
    return {Path(str(file)).stem: Path(str(file)) for file in sorted(folder.iterdir(), key=str)}


def as_lookup(value: Any) -> dict[int, int]:
    """Turns a list or mapping of whole numbers into a mapping old class -> new class.

    Raises:
        ValueError: The value is neither, or holds something else than whole numbers.
    """
    pairs = dict(enumerate(value)) if isinstance(value, list) else value
    if not isinstance(pairs, dict) or not pairs:
        raise ValueError(f"expected a list, a mapping or {{json: FILE, key: KEY}}, got {value!r}")
    try:
        lookup = {int(old): new for old, new in pairs.items()}
    except (TypeError, ValueError):
        raise ValueError(f"expected whole numbers as keys, got {list(pairs)}") from None
    for old, new in lookup.items():
        if not isinstance(new, int) or isinstance(new, bool) or not 0 <= new <= IGNORE:
            raise ValueError(f"class {old} becomes {new!r}, which is not a whole number from 0 to {IGNORE}")
    return lookup


def _validate(content: dict[str, Any], where: str) -> FolderSpec:
    tasks = content.get("tasks")
    if isinstance(tasks, dict):
        content = {**content, "tasks": {name: _split_options(name, tasks[name], where) for name in tasks}}
    try:
        spec = FolderSpec.model_validate(content)
    except ValidationError as error:
        raise _input_error(error, where) from None
    for name, label in spec.tasks.items():
        if label.source is None:
            continue
        if label.source not in spec.tasks:
            raise UnknownNameError("task", label.source, spec.tasks, f"tasks.{name}.from in {where}")
        _check_source(spec, name, where)
    return spec


def _check_source(spec: FolderSpec, name: str, where: str) -> None:
    """Refuses a circular chain of ``from``, and a source that is known only after resizing."""
    chain = [name]
    while (source := spec.tasks[chain[-1]].source) is not None:
        if source in chain:
            raise InputError(f"tasks.{name}.from in {where}: {' <- '.join([*chain, source])} goes in a circle")
        if source not in spec.tasks:
            raise UnknownNameError("task", source, spec.tasks, f"tasks.{chain[-1]}.from in {where}")
        if spec.tasks[source].boundaries:
            raise InputError(f"tasks.{name}.from in {where}: {source!r} is itself made of boundaries")
        chain.append(source)


def _split_options(name: str, section: Any, where: str) -> Any:
    """Moves the keyword arguments of the task's class under ``options``; refuses unknown keys."""
    if name not in TASKS:
        raise UnknownNameError("task", name, TASKS, f"tasks in {where}")
    if not isinstance(section, dict):
        return section
    own = {field.alias or key for key, field in LabelSpec.model_fields.items() if key != "options"}
    parameters = inspect.signature(TASKS[name]).parameters.values()
    keywords = {p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    accepts_all = any(p.kind is p.VAR_KEYWORD for p in parameters)
    for key in section:
        if key not in own | keywords and not accepts_all:
            raise UnknownNameError("key", str(key), sorted(own | keywords), f"tasks.{name} in {where}")
    if "classes" in section and "classes" not in keywords and not accepts_all:
        raise InputError(f"tasks.{name} in {where}: task {name!r} has fixed classes, remove 'classes'")
    options = {key: value for key, value in section.items() if key not in own}
    return {**{key: value for key, value in section.items() if key in own}, "options": options}


def _input_error(error: ValidationError, where: str) -> InputError:
    """Turns pydantic's first complaint into one line, with the nearest key if one is unknown."""
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    if first["type"] == "extra_forbidden":
        return UnknownNameError("key", path[-1], FolderSpec.model_fields, where)
    message = first["msg"].removeprefix("Value error, ")
    return InputError(f"{'.'.join(path) or 'spec'} in {where}: {message[0].lower()}{message[1:]}")


def _is_json_reference(value: Any) -> bool:
    return isinstance(value, dict) and "json" in value


def _in_json(value: dict[str, Any]) -> InJson:
    """Checks and returns a reference. Pydantic's own message would list every other allowed form, too."""
    allowed = ("json", "key")
    for key in value:
        if key not in allowed:
            raise ValueError(f"unknown key {key!r}{did_you_mean(str(key), allowed)}; known: {', '.join(allowed)}")
    for key in allowed:
        if not isinstance(value.get(key), str):
            raise ValueError(f"expected {{json: FILE, key: KEY}}, got {value!r}")
    return InJson(**value)


def _pattern(pattern: str) -> str:
    if pattern.count("{id}") < 1 or pattern.replace("{id}", "").count("{"):
        raise ValueError(f"expected a pattern with {{id}} in it, such as images/{{id}}.jpg, got {pattern!r}")
    return pattern
