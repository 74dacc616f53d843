"""The user's last word on a YAML: ``--set key.path=value`` and an overrides file.

Pure. Mappings are merged key by key, everything else is replaced. ``apply`` works on the text,
so that comments and the parts nobody touched stay as they were. Knows few keys by name: those
that SkyServe would refuse together, those that cost money, and those that are nobody's business.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from skyserve_llm.errors import InputError

Tree = Mapping[str, Any]

# Keys of `resources:` that leave the price of an hour as it is.
_SAME_MACHINE = {"disk_size", "disk_tier", "ports", "labels", "image_id", "autostop"}


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """``["resources.disk_size=200"]`` as a mapping; values are read as YAML.

    Raises:
        InputError: no ``=``, an empty key, or a value that is not YAML.
    """
    tree: dict[str, Any] = {}
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        keys = [key.strip() for key in path.split(".")]
        if not equals or not all(keys):
            raise InputError(
                f"cannot read --set {assignment!r}",
                hint="write it as --set resources.disk_size=200",
            )
        value = _load(text, f"--set {path}")
        for key in reversed(keys):
            value = {key: value}
        tree = _merged(tree, value)
    return tree


def parse_file(text: str, source: str) -> dict[str, Any]:
    """An overrides file: the keys of the service YAML that shall be different.

    Raises:
        InputError: not YAML, or not a mapping.
    """
    tree = _load(text, source)
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise InputError(f"{source} is not a mapping", hint="write it like the service YAML")
    return tree


def merge(base: Tree, overrides: Tree) -> dict[str, Any]:
    """``base`` with ``overrides`` on top. A null takes a key of ``resources:`` away.

    Raises:
        InputError: a secret's value, which would land on disk and in logs.
    """
    secrets = overrides.get("secrets")
    if isinstance(secrets, Mapping) and any(value is not None for value in secrets.values()):
        raise InputError(
            "a secret's value does not belong into the YAML",
            hint="export it in your environment; the YAML names it only",
        )
    merged = _merged(base, overrides)
    service, asked = merged.get("service"), overrides.get("service")
    if isinstance(service, dict) and isinstance(asked, Mapping) and "replicas" in asked:
        # SkyServe's short form of replica_policy: it refuses a service that has both.
        service.pop("replica_policy", None)
    resources = merged.get("resources")
    if isinstance(resources, dict):
        # SkyPilot takes no null there, and there is no other way to say "not this one".
        merged["resources"] = {key: value for key, value in resources.items() if value is not None}
    return merged


def changes_machines(overrides: Tree) -> bool:
    """Whether ``overrides`` may lead to machines that cost something else."""
    asked = overrides.get("resources")
    return isinstance(asked, Mapping) and not set(asked) <= _SAME_MACHINE


def to_replicas(config: Tree, replicas: int) -> dict[str, Any]:
    """The override that gives a service YAML, read as ``config``, another number of replicas."""
    if "replicas" in config["service"]:
        return {"service": {"replicas": replicas}}
    policy = {"min_replicas": replicas}
    most = config["service"].get("replica_policy", {}).get("max_replicas")
    if most is not None:
        policy["max_replicas"] = max(most, replicas)
    return {"service": {"replica_policy": policy}}


def apply(text: str, overrides: Tree) -> str:
    """``text`` with ``overrides`` merged into it; untouched keys keep their lines and comments."""
    if not overrides:
        return text
    base = yaml.safe_load(text)
    merged = merge(base, overrides)
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode), "the template renders a mapping"
    lines = text.splitlines(keepends=True)
    result = "".join(_spliced(lines, root, base, merged, begin=0, end=len(lines)))
    assert yaml.safe_load(result) == merged, "splicing loses nothing"
    return result


def _spliced(
    lines: list[str], node: yaml.MappingNode, base: Tree, merged: Tree, *, begin: int, end: int
) -> list[str]:
    """The lines of one mapping after the merge, each key with the comments above it."""
    starts = _entry_starts(lines, node, begin)
    result: list[str] = []
    for position, (key_node, value_node) in enumerate(node.value):
        key = key_node.value
        start = starts[position]
        stop = starts[position + 1] if position + 1 < len(starts) else end
        if key not in merged:
            continue
        if merged[key] == base[key]:
            result += lines[start:stop]
            continue
        first = key_node.start_mark.line
        result += lines[start:first]
        nested = isinstance(value_node, yaml.MappingNode) and isinstance(merged[key], Mapping)
        if nested and not value_node.flow_style:
            result.append(lines[first])
            result += _spliced(lines, value_node, base[key], merged[key], begin=first + 1, end=stop)
        else:
            result += _dumped({key: merged[key]}, key_node.start_mark.column)
    indent = node.start_mark.column
    added = {key: value for key, value in merged.items() if key not in base}
    return result + (_dumped(added, indent) if added else [])


def _entry_starts(lines: list[str], node: yaml.MappingNode, begin: int) -> list[int]:
    """Where each entry begins: at its key, or at the comments and blank lines above it."""
    starts = []
    previous_end = begin
    for key_node, value_node in node.value:
        start = key_node.start_mark.line
        # A script's last line may look like a comment: never climb into the value above.
        while start > previous_end and _is_margin(lines[start - 1]):
            start -= 1
        starts.append(start)
        previous_end = _end(lines, value_node)
    return starts


def _end(lines: list[str], node: yaml.Node) -> int:
    """The line after a value. PyYAML ends blocks at the next token, past blanks and comments."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(node, yaml.MappingNode) else last
    end = node.end_mark.line + (1 if node.end_mark.column else 0)
    while end > node.start_mark.line + 1 and not lines[end - 1].strip():
        end -= 1
    return end


def _is_margin(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _dumped(tree: Tree, indent: int) -> list[str]:
    # ASCII: Unicode has line breaks that would be taken for lines here.
    text = yaml.safe_dump(dict(tree), sort_keys=False, allow_unicode=False, width=1000)
    return [" " * indent + line for line in text.splitlines(keepends=True)]


def _merged(base: Tree, overrides: Tree) -> dict[str, Any]:
    result = dict(base)
    for key, value in overrides.items():
        below = result.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            result[key] = _merged(below, value)
        else:
            result[key] = value
    return result


def _load(text: str, source: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        reason = str(error).replace("\n", " ")
        raise InputError(f"{source} is not YAML: {reason}") from error
