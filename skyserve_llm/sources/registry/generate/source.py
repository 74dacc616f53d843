"""Python source as data: literal tables, classes with their bases, the words a module uses.

Knows Python's grammar and nothing of vLLM or transformers.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from skyserve_llm.errors import InputError

_WORD = re.compile(r"[A-Za-z]\w*")

_ARITHMETIC = (ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.Constant)


class ClassSource(NamedTuple):
    """A class as its file has it: names of its bases, literal attributes, its syntax tree."""

    name: str
    bases: tuple[str, ...]
    attributes: dict[str, Any]
    file: Path
    tree: ast.ClassDef


@cache
def parse(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"cannot read {file}: {error.strerror}", hint="give the folder of an unpacked wheel"
        ) from error


def version(folder: Path, distribution: str) -> str:
    """The version in ``<distribution>-<version>.dist-info`` beside the package."""
    found = sorted(folder.glob(f"{distribution}-*.dist-info"))
    if len(found) != 1:
        raise InputError(
            f"{folder} holds {len(found)} {distribution}-*.dist-info folders, not one",
            hint=f"unpack one {distribution} wheel there",
        )
    return found[0].name.removeprefix(f"{distribution}-").removesuffix(".dist-info")


def assigned(file: Path, name: str) -> Iterator[ast.expr]:
    """Every expression that a module assigns to ``name``, or updates the mapping ``name`` with."""
    for node in ast.walk(parse(file)):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                yield node.value
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "update"
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == name
        ):
            yield from node.args


def pairs(expression: ast.expr) -> Iterator[tuple[str, Any]]:
    """The literal entries of a mapping, however it is written: a dict, keywords, or pairs.

    What is computed is left out.
    """
    if isinstance(expression, ast.Dict):
        for key, value in zip(expression.keys, expression.values, strict=True):
            if key is None:
                yield from pairs(value)
            elif isinstance(key, ast.Constant):
                yield str(key.value), literal(value)
    elif isinstance(expression, ast.Call):
        for keyword in expression.keywords:
            if keyword.arg is None:
                yield from pairs(keyword.value)
            else:
                yield keyword.arg, literal(keyword.value)
        for argument in expression.args:
            yield from pairs(argument)
    elif isinstance(expression, ast.List):
        for item in expression.elts:
            if isinstance(item, ast.Tuple) and len(item.elts) == 2:
                yield literal(item.elts[0]), literal(item.elts[1])


def table(file: Path, name: str) -> dict[str, Any]:
    """The mapping that a module keeps under ``name``."""
    return {key: value for value in assigned(file, name) for key, value in pairs(value)}


def literal(expression: ast.expr) -> Any:
    """A literal's value, names as text, None for anything computed."""
    if isinstance(expression, ast.Name):
        return expression.id
    if isinstance(expression, ast.Dict):
        return dict(pairs(expression))
    if all(isinstance(node, _ARITHMETIC) for node in ast.walk(expression)):
        return eval(compile(ast.Expression(expression), "", "eval"), {})  # noqa: S307 (1024 * 8)
    try:
        return ast.literal_eval(expression)
    except ValueError:
        return None


def classes(file: Path) -> Iterator[ClassSource]:
    for node in parse(file).body:
        if isinstance(node, ast.ClassDef):
            bases = tuple(base.id for base in node.bases if isinstance(base, ast.Name))
            yield ClassSource(node.name, bases, _attributes(node), file, node)


def _attributes(node: ast.ClassDef) -> dict[str, Any]:
    found = {}
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and item.value:
            found[item.target.id] = literal(item.value)
        elif isinstance(item, ast.Assign) and isinstance(item.targets[0], ast.Name):
            found[item.targets[0].id] = literal(item.value)
    return found


def words(file: Path) -> set[str]:
    """Names that a module gives to parts of a model.

    Attributes that hold what a call made (``self.mixer = Mixer(…)``, ``self.h = make_layers(…)``)
    or that it registers, and the words of texts in its tables and comparisons, which rename a
    checkpoint's parts.
    """
    found: set[str] = set()
    for node in ast.walk(parse(file)):
        if isinstance(node, ast.Assign) and any(
            isinstance(part, ast.Call | ast.IfExp) for part in ast.walk(node.value)
        ):
            targets = [part for target in node.targets for part in ast.walk(target)]
            found.update(part.attr for part in targets if isinstance(part, ast.Attribute))
        elif isinstance(node, ast.Dict | ast.Tuple | ast.List | ast.Compare):
            found.update(_texts(node))
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "").startswith("register_"):
            found.update(text for argument in node.args[:1] for text in _texts(argument))
    return {word for word in found if _WORD.fullmatch(word)}


def _texts(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and " " not in part.value:
            yield from _WORD.findall(part.value)


def imports(file: Path) -> Iterator[tuple[str, str, int]]:
    """(name, module, level) of every ``from module import name``; level counts leading dots."""
    for node in ast.walk(parse(file)):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield alias.name, node.module, node.level


def returned(source: ClassSource, method: str) -> list[Any]:
    """The literals that a method of the class returns; computed ones are None."""
    for item in source.tree.body:
        if isinstance(item, ast.FunctionDef) and item.name == method:
            found = [node for node in ast.walk(item) if isinstance(node, ast.Return)]
            return [literal(node.value) for node in found if node.value is not None]
    return []
