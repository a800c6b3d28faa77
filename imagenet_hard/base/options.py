"""Options: what a function takes by keyword and a command by flag, declared once, as a ``TypedDict``.

class RunOptions(TypedDict, total=False):
    precision: Annotated[Precision, Option("fp32", "Arithmetic of the forward pass.")]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, wraps
from inspect import Parameter, signature
from typing import Any, TypeVar, cast, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.records import first_problem

BY_NAME = "protocol.options"

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Option:
    """One option, as in ``Annotated[its type, Option(default, help)]``.

    ``help``: of the command's flag; "" where the command has none, or makes it itself. ``flags``: in place of
    ``--its-name``. ``least``: of a number. ``parse``: from the flag's text, for a type that is not plain; it
    raises a ValueError. ``recorded``: where a result says it, "" where it moves no number.

    An option that says nothing of ``recorded`` moves numbers and is recorded by its name: it is part of the
    run key and of the record wherever it is not at its default, `verify` asks for it again, pages show it.
    """

    default: Any = None
    help: str = ""
    flags: tuple[str, ...] = ()
    metavar: str | None = None
    least: int | None = None
    parse: Callable[[str], Any] | None = None
    recorded: str = BY_NAME


@dataclass(frozen=True)
class Declared:
    """An option with its name and type."""

    name: str
    type: Any
    option: Option

    def checked(self, value: Any) -> Any:
        """``value``, which is one of the type.

        Raises:
            UsageError: it is none.
        """
        try:
            return TypeAdapter(self.type).validate_python(value, strict=True)
        except ValidationError as error:
            raise UsageError(f"{self.name} is {value!r}: {first_problem(error)}") from None


@cache
def declared(options: type) -> Mapping[str, Declared]:
    """What a ``TypedDict`` declares, in its order; that of what it extends comes first."""
    found = {}
    for name, hint in get_type_hints(options, include_extras=True).items():
        kind, option = get_args(hint)
        found[name] = Declared(name, kind, option)
    return found


def by_name(options: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """Of ``given``, what is recorded by name, checked; defaults are left out.

    Raises:
        UsageError: a value of another type.
    """
    return {
        name: each.checked(given[name])
        for name, each in declared(options).items()
        if each.option.recorded == BY_NAME and given.get(name, each.option.default) != each.option.default
    }


def takes(options: type) -> Callable[[Function], Function]:
    """Give a function of ``**options`` the keywords that they declare: any other is a TypeError."""

    def decorate(function: Function) -> Function:
        own = signature(function)
        kept = [each for each in own.parameters.values() if each.kind is not Parameter.VAR_KEYWORD]
        more = [
            Parameter(name, Parameter.KEYWORD_ONLY, default=each.option.default, annotation=each.type)
            for name, each in declared(options).items()
        ]
        whole = own.replace(parameters=[*kept, *more])

        @wraps(function)
        def checked(*args: Any, **keywords: Any) -> Any:
            try:
                whole.bind(*args, **keywords)
            except TypeError as error:
                raise TypeError(f"{function.__name__}() {error}") from None
            return function(*args, **keywords)

        checked.__signature__ = whole  # type: ignore[attr-defined]
        return cast("Function", checked)

    return decorate
