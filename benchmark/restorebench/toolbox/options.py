"""The base class of a plugin's options, and how raw options become one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from restorebench.contracts import CARD_TYPES, Card, resolve
from restorebench.errors import RestorebenchError


class PluginOptions(BaseModel):
    """Options that refuse unknown keys and cannot change. Give each field a default and a description."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class OptionsOf:
    """Says of a field that it holds raw options of other cards by name, so that their paths are made absolute too.

    kind: such as `degradation`. Used as `Annotated[dict[str, dict[str, Any]], OptionsOf("degradation")]`.
    """

    kind: str


def validated(card: Card, given: Mapping[str, Any]) -> Any:
    """Turn raw options into the card's model; None where the card takes none.

    Raises:
        RestorebenchError: an option does not fit; the message names the card and the option.
    """
    kind = next((word for word, type_ in CARD_TYPES.items() if isinstance(card, type_)), "card")
    if card.options is None:
        if given:
            raise RestorebenchError(f"{kind} {card.name!r} takes no options, got {', '.join(sorted(given))}")
        return None
    try:
        return resolve(card.options).model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RestorebenchError(f"options of {kind} {card.name!r}: {where}: {first['msg']}") from error


def loaded(card: Card, given: Mapping[str, Any], *context: Any) -> Any:
    """Load what a card offers under raw options; context: what its `load` is given beside them.

    Raises:
        RestorebenchError: an option does not fit.
    """
    return resolve(card.load)(validated(card, given), *context)
