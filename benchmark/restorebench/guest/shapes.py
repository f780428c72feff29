"""The shape of a model of options as plain data: which fields it has, and where it holds paths.

The driver does not import the plugins of methods. It makes absolute paths of those in their options, lists options
and suggests names for misspelt ones by these shapes; the plugin's own process checks values.
"""

from __future__ import annotations

import contextlib
import types
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Field, TypeAdapter, create_model
from pydantic.fields import FieldInfo

from restorebench.toolbox.options import OptionsOf

Shape = Any
"""JSON-ready data; `None` for a type that holds no path."""
_MAPPINGS = (dict, Mapping)
_DEEPEST = 16


def of_model(model: type[BaseModel], depth: int = 0) -> dict[str, Any]:
    """Return the shape of a model by the names of its fields."""
    return {name: _of_field(field, depth) for name, field in model.model_fields.items()}


def _of_field(field: FieldInfo, depth: int) -> dict[str, Any]:
    required = field.is_required()
    default = None
    if not required:
        with contextlib.suppress(Exception):  # a factory may need the other fields, which are not known here
            default = field.get_default(call_default_factory=True, validated_data={})
    marker = next((each.kind for each in field.metadata if isinstance(each, OptionsOf)), None)
    return {
        "required": required,
        "default": TypeAdapter(Any).dump_python(default, mode="json", fallback=str),
        "description": field.description or "",
        "options_of": marker,
        "type": _of_type(field.annotation, depth + 1),
    }


def _of_type(annotation: Any, depth: int) -> Shape:
    origin, parts = get_origin(annotation), get_args(annotation)
    if depth > _DEEPEST:
        return None
    if origin is Annotated:
        return _of_type(parts[0], depth)
    if origin in (Union, types.UnionType):
        return {"any": [_of_type(part, depth + 1) for part in parts]}
    if origin is Literal:
        return {"literal": [part for part in parts if isinstance(part, str | int | bool) or part is None]}
    if isinstance(annotation, type) and issubclass(annotation, PurePath):
        return {"path": True}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {"model": of_model(annotation, depth)}
    if origin in _MAPPINGS and len(parts) == 2:
        return {"mapping": _of_type(parts[1], depth + 1)}
    if origin is tuple and Ellipsis not in parts:
        return {"tuple": [_of_type(part, depth + 1) for part in parts]}
    return {"list": _of_type(parts[0], depth + 1)} if parts else None


def to_model(name: str, shape: Any, base: type[BaseModel]) -> type[BaseModel]:
    """Make a model of a shape. It describes options, and does not check them.

    Raises:
        ValueError, TypeError, KeyError: it is no shape.
    """
    fields: dict[str, Any] = {}
    for key, facts in dict(shape).items():
        default: Any = ... if facts["required"] else facts["default"]
        described = Field(default, description=str(facts["description"]))
        marker = facts["options_of"]
        annotation: Any = _to_type(facts["type"], base)
        fields[str(key)] = (Annotated[annotation, OptionsOf(str(marker))] if marker else annotation, described)
    made: type[BaseModel] = create_model(name, __base__=base, **fields)
    return made


def _to_type(shape: Shape, base: type[BaseModel]) -> Any:
    if shape is None:
        return Any
    ((kind, inner),) = dict(shape).items()
    if kind == "path":
        return Path
    if kind == "literal":
        return Literal[tuple(inner)] if inner else Any
    if kind == "model":
        return to_model("Nested", inner, base)
    if kind == "mapping":
        return dict[str, _to_type(inner, base)]  # type: ignore[misc]  # made at run time
    if kind == "list":
        return list[_to_type(inner, base)]  # type: ignore[misc]  # made at run time
    parts = tuple(_to_type(each, base) for each in inner)
    return tuple.__class_getitem__(parts) if kind == "tuple" else Union.__getitem__(parts)


def tagged(value: Any, plain: Any) -> Any:
    """Return the JSON form of a value with marks where it holds paths and sets. plain: its JSON form."""
    if isinstance(value, PurePath):
        return {"$path": str(value)}
    if isinstance(value, Mapping):
        pairs = zip(value.values(), plain.items(), strict=True)
        return {"$map": {str(key): tagged(part, form) for part, (key, form) in pairs}}
    if isinstance(value, set | frozenset):
        return {"$set": [tagged(part, form) for part, form in zip(value, plain, strict=True)]}
    if isinstance(value, list | tuple):
        return [tagged(part, form) for part, form in zip(value, plain, strict=True)]
    return plain


def untagged(value: Any) -> Any:
    """Return what `tagged` marked."""
    if isinstance(value, list):
        return [untagged(part) for part in value]
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    if kind == "$path":
        return Path(inner)
    if kind == "$set":
        return {tuple(part) if isinstance(part, list) else part for part in map(untagged, inner)}
    return {key: untagged(part) for key, part in inner.items()}
