"""What the site takes from the code when it is built: the command line, the config's keys, figures of published runs.

A page says where with a comment: ``<!-- commands -->``, or ``<!-- keys of Training -->``.
"""

from __future__ import annotations

import inspect
import json
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import griffe
import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pydantic import BaseModel
from pydantic.fields import FieldInfo

PUBLISHED = re.compile(r"\((?:\.\./)+(runs/published/[^)\s]+)\)")
"""A link out of ``docs`` that works in the repository; in the site the file lies beside the pages."""


SPREAD = re.compile(r"(?<=\d) (±|\.\.) (?=[-+\d])")
"""A value and its spread, or the ends of an interval, which stay on one line."""

_NAMES = {dict: "mapping", list: "list", tuple: "list", str: "string", int: "integer", float: "number", bool: "bool"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds what pages show of ``runs/published``."""
    root = Path(config.docs_dir).parent
    linked = {path for page in files.documentation_pages() for path in PUBLISHED.findall(page.content_string)}
    for path in sorted(linked):
        if (root / path).is_file():
            files.append(File.generated(config, path, abs_src_path=str(root / path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Fills in what a page asks for."""
    above = "../" * page.file.src_uri.count("/")
    markdown = SPREAD.sub("\N{NO-BREAK SPACE}\\1\N{NO-BREAK SPACE}", markdown)
    markdown = PUBLISHED.sub(rf"({above}\1)", markdown)
    if "<!-- commands -->" in markdown:
        markdown = markdown.replace("<!-- commands -->", "\n".join(commands()))
    return re.sub(r"<!-- keys of (\w+) -->", lambda found: "\n".join(keys(found[1])), markdown)


def commands() -> Iterator[str]:
    """Every command with its arguments and options."""
    from atrc.cli import app

    group = typer.main.get_command(app)
    for name, command in sorted(_flat(group)):
        yield f"\n## `atrc {name}`\n\n{_plain(command.help)}\n"
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        options = [p for p in command.params if p.param_type_name == "option" and p.name != "help"]
        usage = [f"atrc {name}", *(_argument(p) for p in arguments), *(["[OPTIONS]"] if options else [])]
        yield f"```text\n{' '.join(usage)}\n```\n"
        if arguments or options:
            yield "| argument or option | |\n|---|---|"
        for parameter in arguments:
            yield f"| `{_argument(parameter)}` | {_plain(parameter.help)} |"
        for parameter in options:
            yield f"| {_option(parameter)} | {_plain(parameter.help)}{_default(parameter)} |"


def _flat(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _flat(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def _argument(parameter: Any) -> str:
    name = (parameter.metavar or parameter.name.upper()).strip("[]")
    name += "..." if parameter.nargs == -1 and not name.endswith("...") else ""
    return name if parameter.required else f"[{name}]"


def _option(parameter: Any) -> str:
    names = [*sorted(parameter.opts, key=len, reverse=True), *(parameter.secondary_opts if parameter.default else ())]
    value = "" if parameter.is_flag else f" {parameter.metavar or parameter.name.upper()}"
    return ", ".join(f"`{name}{value}`" for name in names)


def _default(parameter: Any) -> str:
    if parameter.default is None or parameter.is_flag:
        return ""
    return f" Default: `{parameter.default}`."


def _plain(text: str | None) -> str:
    """Rich's ``[cyan]x[/cyan]`` as Markdown's `x`."""
    text = re.sub(r"\[(cyan|bold)\](.*?)\[/\1\]", r"`\2`", inspect.cleandoc(text or ""))
    return text.replace("|", "\\|")


def keys(model: str) -> Iterator[str]:
    """The keys that one section of the config declares: type, default, and what the class says of them."""
    from atrc import config

    section: type[BaseModel] = getattr(config, model)
    said = _attributes(section)
    yield "| key | type | default | |\n|---|---|---|---|"
    for name, field in ((name, section.model_fields[name]) for name in section.__annotations__):
        text = " ".join(said.get(name, "").split()).replace("``", "`").replace("|", "\\|")
        yield f"| `{name}` | {_type(field.annotation)} | {_value(field)} | {text} |"


def _attributes(section: type[BaseModel]) -> dict[str, str]:
    docstring = griffe.Docstring(inspect.cleandoc(section.__doc__ or ""))
    parts = griffe.parse_google(docstring, warn_missing_types=False)
    found = [part.value for part in parts if part.kind is griffe.DocstringSectionKind.attributes]
    return {one.name: one.description for part in found for one in part}


def _type(annotation: Any) -> str:
    if get_origin(annotation) is types.UnionType:
        return " or ".join(_type(one) for one in get_args(annotation) if one is not types.NoneType) + ", or null"
    if str(get_origin(annotation)) == "typing.Literal":
        return " or ".join(f"`{one}`" for one in get_args(annotation))
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return "name and options" if annotation.__name__ == "Named" else "section"
    return _NAMES[get_origin(annotation) or annotation]


def _value(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if isinstance(value, BaseModel):
        return f"`{value.model_dump()['name']}`" if "name" in value.model_dump() else ""
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"
