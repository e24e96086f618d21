"""Who calls: read from the authoriser's claims, never from a body."""

from dataclasses import dataclass

TENANT_GROUP = "tenant-"


class Forbidden(Exception):
    """The caller is known and may not do this; the message says what they would need."""


@dataclass(frozen=True, slots=True)
class Caller:
    user_id: str
    tenants: tuple[str, ...]
    groups: frozenset[str]

    @classmethod
    def from_claims(cls, claims: dict) -> "Caller":
        """Read a Cognito access token's claims as API Gateway passes them: a list is the text '[a b]'."""
        listed = claims.get("cognito:groups", "")
        names = listed if isinstance(listed, list) else listed.strip("[]").replace(",", " ").split()
        tenants = tuple(sorted(name.removeprefix(TENANT_GROUP) for name in names if name.startswith(TENANT_GROUP)))
        groups = frozenset(name for name in names if not name.startswith(TENANT_GROUP))
        return cls(claims["sub"], tenants, groups)

    def require(self, *groups: str) -> None:
        if not self.groups & set(groups):
            raise Forbidden(f"This needs membership in {' or '.join(groups)}.")

    @property
    def tenant(self) -> str:
        """The one tenant a request is made for."""
        if len(self.tenants) != 1:
            raise Forbidden("A caller of inferences must be in exactly one tenant- group.")
        return self.tenants[0]
