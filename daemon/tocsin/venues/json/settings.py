"""The options of a described venue: those of every venue, and what its description wants to be given."""

import re
from functools import partial
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from tocsin.quantities import SecretText
from tocsin.secrets import Secret
from tocsin.venues.base import VenueSettings
from tocsin.venues.json.description import Description

MAIN_URL = "ws"
_OPTION = re.compile(r"(?!model_)[a-z][a-z0-9_]*", re.ASCII)


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True
    )


def is_option(name: str) -> bool:
    """Whether `given` and `urls` can have this name: nothing of it is a model's own."""
    return _OPTION.fullmatch(name) is not None and name not in dir(_Part)


class JsonSettings(VenueSettings):
    """What `given` and `urls` hold depends on the description: `tocsin venues DESCRIPTION` tells."""

    type: str = "json"
    url: str = Field("", description="replaces the address that the description calls `ws`")
    describe: str = Field(description="a shipped description, or the path of one's own")
    given: dict[str, Any] = Field({}, description="what the description wants to be given")
    urls: dict[str, str | None] = Field({}, description="addresses that replace the description's own")

    def secrets_given(self) -> list[str]:
        given: Any = self.given
        names = type(given).model_fields if isinstance(given, BaseModel) else ()
        return [f"given.{name}" for name in names if isinstance(getattr(given, name), Secret)]

    def addresses(self) -> dict[str, str]:
        main = {"url": self.url} if self.url else {}
        return main | {f"urls.{name}": url for name, url in values(self.urls).items()}


class _WithoutMain(JsonSettings):
    @model_validator(mode="after")
    def _no_main(self) -> "_WithoutMain":
        if self.url:
            raise ValueError(
                f"this description calls none of its addresses `{MAIN_URL}`: write urls: instead"
            )
        return self


def settings_for(description: Description) -> type[JsonSettings]:
    """The options of a venue of this description: names that it doesn't know are refused, missing ones told."""
    given: dict[str, Any] = {}
    for name, how in description.given.items():
        about = Field(description=how.about or None)
        wanted = SecretText if how.secret else str
        given[name] = (
            (wanted, about) if how.default is None else (wanted, Field(how.default, description=how.about))
        )
    urls: dict[str, Any] = {
        name: (str | None, Field(None, description=url)) for name, url in description.urls.items()
    }
    part = partial(create_model, __base__=_Part)
    made_given, made_urls = part("Given", **given), part("Urls", **urls)
    needs = any(how.default is None for how in description.given.values())
    return create_model(
        "DescribedSettings",
        __base__=JsonSettings if MAIN_URL in description.urls else _WithoutMain,
        __doc__=f"{description.summary}.",
        given=(made_given, Field(description="what it wants to be given") if needs else made_given()),
        urls=(made_urls, Field(made_urls(), description="addresses that replace the description's own")),
    )


def values(part: Any) -> dict[str, str]:
    """What stands in `given` or `urls`, secrets revealed."""
    names = type(part).model_fields if isinstance(part, BaseModel) else ()
    found = ((name, getattr(part, name)) for name in names)
    return {
        name: value.reveal() if isinstance(value, Secret) else value
        for name, value in found
        if value is not None
    }
