"""What is refused before the Hub is asked: ids and tokens that cannot be one."""

from __future__ import annotations

from imagenet_hard.base.errors import UsageError

Token = str | bool | None
"""A token; None for the one of the environment (``HF_TOKEN``) or of ``hf auth login``; False for none."""


def check_repo_id(repo: str) -> None:
    """Refuse what is no ``OWNER/NAME``.

    Raises:
        UsageError: it is not.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined] # not in an __all__

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise UsageError(f"{repo!r} is not a Hub id: expected OWNER/NAME. {error}") from None
    if "/" not in repo:
        raise UsageError(f"{repo!r} is not a Hub id: expected OWNER/NAME, as in my-organisation/{repo}")


def check_token(token: Token) -> None:
    """Refuse a token that no header can carry: the clients would quote it in full.

    Raises:
        UsageError: it is not one word of plain characters.
    """
    secret = secret_of(token)
    if secret is not None and not (secret.isascii() and secret.isprintable() and secret.split() == [secret]):
        raise UsageError(
            "the Hub token is not valid: it has blanks, line ends or special characters, or is empty. "
            "Expected one word such as hf_...; check HF_TOKEN or the file that it was read from"
        )


def secret_of(token: Token) -> str | None:
    """The token itself; None where there is none."""
    if isinstance(token, str):
        return token
    if token is False:
        return None
    from huggingface_hub import get_token

    return get_token()
