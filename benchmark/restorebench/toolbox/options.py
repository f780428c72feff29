"""The base class of a plugin's options."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class PluginOptions(BaseModel):
    """Options that refuse unknown keys and cannot change. Give each field a default and a description."""

    model_config = ConfigDict(extra="forbid", frozen=True)
