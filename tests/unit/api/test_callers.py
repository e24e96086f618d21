"""domain/api/callers.py: who calls, read from claims in either spelling."""

import pytest

from domain.api.callers import Caller, Forbidden


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


@pytest.mark.parametrize(("claims", "name"), [({"sub": "u", "username": "ann"}, "ann"), ({"sub": "u"}, "u")])
def test_a_caller_is_called_by_their_user_name(claims, name):
    assert Caller.from_claims(claims).name == name


def test_use_cases_are_groups_and_no_roles():
    caller = Caller.from_claims({"sub": "u", "cognito:groups": "[reviewers tenant-acme use-case-a use-case-b]"})

    assert (caller.use_cases, caller.groups) == ({"a", "b"}, {"reviewers"})


@pytest.mark.parametrize(
    ("groups", "tenant", "use_case", "sees"),
    [
        ("[tenant-acme]", "acme", "a", True),
        ("[tenant-acme]", "globex", "a", False),
        ("[tenant-acme use-case-a]", "acme", "a", True),
        ("[tenant-acme use-case-a]", "acme", "b", False),
        ("[tenant-acme tenant-globex use-case-a]", "globex", "a", True),
        ("[use-case-a]", "acme", "a", False),
        ("[]", "acme", "a", False),
        ("[tenant-acme]", None, "a", False),
        ("[tenant-acme use-case-a]", "acme", None, False),
    ],
)
def test_each_sees_their_tenants_and_of_those_their_use_cases_if_they_have_any(groups, tenant, use_case, sees):
    assert Caller.from_claims({"sub": "u", "cognito:groups": groups}).sees(tenant, use_case) is sees


@pytest.mark.parametrize(("groups", "is_lead"), [("[leads]", True), ("[reviewers]", False), ("[tenant-leads]", False)])
def test_a_lead_is_in_the_leads_group(groups, is_lead):
    assert Caller.from_claims({"sub": "u", "cognito:groups": groups}).is_lead is is_lead
