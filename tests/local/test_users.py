"""The local users: what they can sign in with, and what stands in their tokens."""

import re

import boto3
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from bulwark.local.json_web_tokens import user_pool_keys
from bulwark.local.users import USERS, create_users, sign_in


@pytest.fixture
def cognito(endpoint):
    return boto3.client(
        "cognito-idp",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


@pytest.fixture
def pool(cognito):
    policy = {"MinimumLength": 14, "RequireLowercase": True, "RequireUppercase": True, "RequireNumbers": True}
    pool_id = cognito.create_user_pool(PoolName="bulwark", Policies={"PasswordPolicy": policy})["UserPool"]["Id"]
    cognito.create_group(UserPoolId=pool_id, GroupName="callers")
    client = cognito.create_user_pool_client(
        UserPoolId=pool_id, ClientName="bulwark", ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"]
    )["UserPoolClient"]
    return pool_id, client["ClientId"]


def test_an_access_token_carries_what_the_api_reads_under_the_pools_published_keys(cognito, pool, endpoint):
    pool_id, client_id = pool
    outputs = create_users(cognito, pool_id)

    token = sign_in(cognito, client_id, outputs["CallerUsername"], outputs["CallerPassword"])

    issuer = f"https://cognito-idp.us-east-1.amazonaws.com/{pool_id}"
    claims = jwt.decode(token, KeySet.import_key_set(user_pool_keys(endpoint)(issuer)), ["RS256"]).claims
    assert sorted(claims["cognito:groups"]) == ["callers", "tenant-acme"]
    assert (claims["iss"], claims["client_id"]) == (issuer, client_id)
    assert (claims["sub"], claims["username"]) == (outputs["CallerUserId"], "caller")
    assert claims["token_use"] == "access"
    assert claims["exp"] - claims["iat"] == 3600


@pytest.mark.parametrize(
    ("who", "groups"),
    [
        ("Reviewer", ["reviewers", "tenant-acme"]),
        ("SecondReviewer", ["reviewers", "tenant-acme"]),
        ("NarrowReviewer", ["reviewers", "tenant-acme", "use-case-general_question"]),
        ("Lead", ["leads", "tenant-acme"]),
        ("SecondLead", ["leads", "tenant-acme"]),
        ("Operator", ["operators", "tenant-acme"]),
        ("GlobexCaller", ["callers", "tenant-globex"]),
        ("GlobexReviewer", ["reviewers", "tenant-globex"]),
    ],
)
def test_each_user_is_in_its_groups(cognito, pool, who, groups):
    outputs = create_users(cognito, pool[0])

    listed = cognito.admin_list_groups_for_user(UserPoolId=pool[0], Username=outputs[f"{who}Username"])

    assert sorted(group["GroupName"] for group in listed["Groups"]) == groups


def test_passwords_are_random_meet_the_policy_and_a_wrong_one_is_refused(cognito, pool):
    first = create_users(cognito, pool[0])
    other_pool = cognito.create_user_pool(PoolName="other")["UserPool"]["Id"]
    second = create_users(cognito, other_pool)

    passwords = [value for each in (first, second) for name, value in each.items() if name.endswith("Password")]
    assert len(set(passwords)) == len(passwords) == 2 * len(USERS)
    for password in passwords:
        assert len(password) >= 14 and all(re.search(kind, password) for kind in ("[a-z]", "[A-Z]", "[0-9]"))
    with pytest.raises(cognito.exceptions.NotAuthorizedException):
        sign_in(cognito, pool[1], "caller", second["CallerPassword"])
