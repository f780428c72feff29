"""The base class of a plugin's options, and validation of raw options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from restorebench.contract.blame import blaming
from restorebench.contract.cards import Card, kind_of, resolve
from restorebench.contract.errors import BrokenPlugin, RestorebenchError

Temperature = Annotated[
    float,
    Field(
        gt=0,
        allow_inf_nan=False,
        description="divisor of the logits before the softmax: higher values are less certain; see `calibrate`",
    ),
]
"""The option `temperature`, which means the same in all detectors; each has its own default."""


class PluginOptions(BaseModel):
    """Frozen options that refuse unknown keys. Give each field a default and a description."""

    # defaults are validated, so that giving a default explicitly (50) equals leaving it out (50.0)
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


@dataclass(frozen=True)
class OptionsOf:
    """Mark of a field that holds raw options of other cards by name, so that their paths are made absolute too.

    kind: such as `degradation`. Use it as `Annotated[dict[str, dict[str, Any]], OptionsOf("degradation")]`.
    """

    kind: str


def options_model(card: Card) -> type[BaseModel] | None:
    """Return the model of a card's options; None if it takes none.

    Raises:
        BrokenPlugin: it cannot be imported, or is not a pydantic model.
    """
    if card.options is None:
        return None
    if isinstance(card.options, BrokenPlugin):  # in place of a model that another process could not import
        raise card.options
    with blaming(card, f"importing its options ({card.options})"):
        model = resolve(card.options)
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            raise TypeError(f"they are not a pydantic model: {model!r}")
        return model


def validated_options(card: Card, options: Mapping[str, Any]) -> Any:
    """Validate raw options against a card's model; return None if the card takes none.

    Raises:
        pydantic.ValidationError: the options do not fit the model.
        RestorebenchError: options were given to a card that takes none.
        BrokenPlugin: the plugin's own validation code fails.
    """
    model = options_model(card)
    if model is None:
        if options:
            raise RestorebenchError(
                f"{kind_of(card)} {card.name!r} takes no options, got {', '.join(sorted(options))}"
            )
        return None
    with blaming(card, "checking its options", expected=ValidationError):
        return model.model_validate(dict(options))


def validated(card: Card, given: Mapping[str, Any]) -> Any:
    """Validate raw options as `validated_options` does, but report the first problem in one line.

    Raises:
        RestorebenchError: an option does not fit; the message names the card and the option.
    """
    try:
        return validated_options(card, given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        text = ": ".join(part for part in (where, first["msg"]) if part)  # an error about the whole has no key
        raise RestorebenchError(f"options of {kind_of(card)} {card.name!r}: {text}") from error


def loaded(card: Card, given: Mapping[str, Any], *context: Any) -> Any:
    """Load a card's object with raw options; context: the further arguments of its `load`.

    Raises:
        RestorebenchError: an option does not fit.
    """
    return resolve(card.load)(validated(card, given), *context)
