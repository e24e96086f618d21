"""domain/api/callers.py: who calls, read from claims in either spelling."""

import pytest

from domain.api.callers import Caller, Forbidden, NoAccessToken


def claims(groups=None, **more):
    named = {} if groups is None else {"cognito:groups": groups}
    return {"sub": "u", "token_use": "access", **named, **more}


@pytest.mark.parametrize(
    ("groups", "tenants", "roles"),
    [
        ("[callers tenant-acme]", ("acme",), {"callers"}),
        ("[tenant-acme callers,leads]", ("acme",), {"callers,leads"}),
        ("[tenant-a,b]", ("a,b",), set()),
        ("[a] [b callers]]", (), {"a]", "[b", "callers]"}),
        ("callers", (), set()),
        ("[x\ttenant-acme]", (), {"x\ttenant-acme"}),
        (["tenant-globex", "tenant-acme", "leads"], ("acme", "globex"), {"leads"}),
        ("[]", (), set()),
        ("", (), set()),
        (None, (), set()),
    ],
)
def test_tenants_and_roles_are_groups(groups, tenants, roles):
    caller = Caller.from_claims(claims(groups))

    assert (caller.user_id, caller.tenants, caller.groups) == ("u", tenants, roles)


@pytest.mark.parametrize("groups", ["[]", "[callers]", "[tenant-acme tenant-globex]"])
def test_a_request_is_made_for_one_tenant(groups):
    with pytest.raises(Forbidden, match="exactly one"):
        Caller.from_claims(claims(groups)).tenant  # noqa: B018 - the property refuses


def test_a_tenant_is_no_role():
    caller = Caller.from_claims(claims("[tenant-leads]"))

    with pytest.raises(Forbidden, match="reviewers or leads"):
        caller.require("reviewers", "leads")


@pytest.mark.parametrize(("more", "name"), [({"username": "ann"}, "ann"), ({}, "u")])
def test_a_caller_is_called_by_their_user_name(more, name):
    assert Caller.from_claims(claims(**more)).name == name


@pytest.mark.parametrize("use", ["id", "refresh", "ACCESS", "[access]", "", None])
def test_only_an_access_token_says_what_somebody_may_do(use):
    given = claims("[callers tenant-acme]", token_use=use, aud="client-1")

    with pytest.raises(NoAccessToken):
        Caller.from_claims(given if use is not None else {k: v for k, v in given.items() if k != "token_use"})


def test_use_cases_are_groups_and_no_roles():
    caller = Caller.from_claims(claims("[reviewers tenant-acme use-case-a use-case-b]"))

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
    assert Caller.from_claims(claims(groups)).sees(tenant, use_case) is sees


@pytest.mark.parametrize(("groups", "is_lead"), [("[leads]", True), ("[reviewers]", False), ("[tenant-leads]", False)])
def test_a_lead_is_in_the_leads_group(groups, is_lead):
    assert Caller.from_claims(claims(groups)).is_lead is is_lead
