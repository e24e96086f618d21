"""domain/callers.py: who calls, read from claims in either spelling."""

import pytest

from domain.callers import Caller, Forbidden


@pytest.mark.parametrize(
    ("groups", "tenants", "roles"),
    [
        ("[callers tenant-acme]", ("acme",), {"callers"}),
        ("[callers, tenant-acme]", ("acme",), {"callers"}),
        (["tenant-globex", "tenant-acme", "leads"], ("acme", "globex"), {"leads"}),
        ("[]", (), set()),
        ("", (), set()),
        (None, (), set()),
    ],
)
def test_tenants_and_roles_are_groups(groups, tenants, roles):
    claims = {"sub": "u"} if groups is None else {"sub": "u", "cognito:groups": groups}
    caller = Caller.from_claims(claims)

    assert (caller.user_id, caller.tenants, caller.groups) == ("u", tenants, roles)


@pytest.mark.parametrize("groups", ["[]", "[callers]", "[tenant-acme tenant-globex]"])
def test_a_request_is_made_for_one_tenant(groups):
    with pytest.raises(Forbidden, match="exactly one"):
        Caller.from_claims({"sub": "u", "cognito:groups": groups}).tenant  # noqa: B018 - the property refuses


def test_a_tenant_is_no_role():
    caller = Caller.from_claims({"sub": "u", "cognito:groups": "[tenant-leads]"})

    with pytest.raises(Forbidden, match="reviewers or leads"):
        caller.require("reviewers", "leads")
