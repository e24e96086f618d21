"""Who calls: read from the authoriser's claims, never from a body."""

from collections.abc import Iterable
from dataclasses import dataclass

TENANT_GROUP = "tenant-"
USE_CASE_GROUP = "use-case-"


class NoAccessToken(Exception):
    """The token says who somebody is, which a page may be told, and not what they may do."""


class Forbidden(Exception):
    """The caller is known and may not do this; the message says what they would need."""


@dataclass(frozen=True, slots=True)
class Caller:
    user_id: str
    name: str
    tenants: tuple[str, ...]
    use_cases: frozenset[str]
    groups: frozenset[str]

    @classmethod
    def from_claims(cls, claims: dict) -> "Caller":
        """Read a Cognito access token's claims as API Gateway passes them; any other token raises NoAccessToken."""
        # API Gateway holds a token's client to the audience and lets ID tokens pass.
        if claims.get("token_use") != "access":
            raise NoAccessToken("This needs the access token; another kind of token was sent.")
        names = _listed(claims.get("cognito:groups", "[]"))
        return cls.from_groups(claims["sub"], claims.get("username", claims["sub"]), names)

    @classmethod
    def from_groups(cls, user_id: str, name: str, groups: Iterable[str]) -> "Caller":
        """Sort a user's Cognito groups into roles, tenants and use cases."""
        groups = frozenset(groups)
        tenants = {group for group in groups if group.startswith(TENANT_GROUP)}
        use_cases = {group for group in groups if group.startswith(USE_CASE_GROUP)}
        return cls(
            user_id,
            name,
            tuple(sorted(group.removeprefix(TENANT_GROUP) for group in tenants)),
            frozenset(group.removeprefix(USE_CASE_GROUP) for group in use_cases),
            groups - tenants - use_cases,
        )

    def require(self, *groups: str) -> None:
        if not self.groups & set(groups):
            raise Forbidden(f"This needs membership in {' or '.join(groups)}.")

    def sees(self, tenant: str | None, use_case: str | None) -> bool:
        """Whether the caller works for this tenant and use case; who is in no use case's group, for all of them."""
        return tenant in self.tenants and (not self.use_cases or use_case in self.use_cases)

    @property
    def is_lead(self) -> bool:
        return "leads" in self.groups

    @property
    def tenant(self) -> str:
        """The one tenant a request is made for."""
        if len(self.tenants) != 1:
            raise Forbidden("A caller of inferences must be in exactly one tenant- group.")
        return self.tenants[0]


def _listed(claim: str | list[str]) -> list[str]:
    """A list's members: API Gateway makes '[a b]' of it, and a group's name may hold commas and brackets, no space."""
    if isinstance(claim, list):
        return claim
    return claim[1:-1].split(" ") if claim[:1] == "[" and claim[-1:] == "]" and claim != "[]" else []
