"""The local users: people of two tenants in the stack's user pool, each with a password of this start alone.

moto's access tokens already carry what the HTTP API reads (iss, sub, client_id, token_use, username,
cognito:groups), signed by a key that stands in moto's own package: they prove nothing outside this machine.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LocalUser:
    output: str  # the first word of the outputs' names
    username: str
    groups: tuple[str, ...]


USERS = (
    LocalUser("Caller", "caller", ("callers", "tenant-acme")),
    LocalUser("Reviewer", "reviewer", ("reviewers", "tenant-acme")),
    LocalUser("SecondReviewer", "second-reviewer", ("reviewers", "tenant-acme")),
    LocalUser("NarrowReviewer", "narrow-reviewer", ("reviewers", "tenant-acme", "use-case-general_question")),
    LocalUser("Lead", "lead", ("leads", "tenant-acme")),
    LocalUser("SecondLead", "second-lead", ("leads", "tenant-acme")),
    LocalUser("Operator", "operator", ("operators", "tenant-acme")),
    LocalUser("GlobexCaller", "globex-caller", ("callers", "tenant-globex")),
    LocalUser("GlobexReviewer", "globex-reviewer", ("reviewers", "tenant-globex")),
)


def create_users(cognito: Any, user_pool_id: str, users: Iterable[LocalUser] = USERS) -> dict[str, str]:
    """Create users and their groups; the answer holds each one's Username, Password and UserId."""
    users = list(users)
    existing = {group["GroupName"] for group in cognito.list_groups(UserPoolId=user_pool_id)["Groups"]}
    for group in sorted({group for user in users for group in user.groups} - existing):
        cognito.create_group(UserPoolId=user_pool_id, GroupName=group)
    outputs: dict[str, str] = {}
    for user in users:
        password = _password()
        user_id = _create(cognito, user_pool_id, user, password)
        outputs |= {
            f"{user.output}Username": user.username,
            f"{user.output}Password": password,
            f"{user.output}UserId": user_id,
        }
    return outputs


def sign_in(cognito: Any, client_id: str, username: str, password: str) -> str:
    """The access token of a user, as `Authorization: Bearer` wants it."""
    answer = cognito.initiate_auth(
        ClientId=client_id,
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": username, "PASSWORD": password},
    )
    return answer["AuthenticationResult"]["AccessToken"]


def _create(cognito: Any, user_pool_id: str, user: LocalUser, password: str) -> str:
    made = cognito.admin_create_user(UserPoolId=user_pool_id, Username=user.username, MessageAction="SUPPRESS")["User"]
    cognito.admin_set_user_password(UserPoolId=user_pool_id, Username=user.username, Password=password, Permanent=True)
    for group in user.groups:
        cognito.admin_add_user_to_group(UserPoolId=user_pool_id, Username=user.username, GroupName=group)
    return next(each["Value"] for each in made["Attributes"] if each["Name"] == "sub")


def _password() -> str:
    """Random, and of every kind of character that a password policy may ask for."""
    return f"aA1-{secrets.token_urlsafe(24)}"
