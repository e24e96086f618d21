"""Whose account it is, by a function's ARN, and in a container of sam's, whose ARN is of an account that nobody has."""

from adapters import account


def test_the_account_is_the_one_of_the_function_s_arn(context):
    assert account.own(context) == "123456789012"


def test_in_a_container_of_sam_s_it_is_the_one_that_sam_gives(context, monkeypatch):
    context._invoked_function_arn = "arn:aws:lambda:us-east-1:012345678912:function:test"
    monkeypatch.setenv("AWS_ACCOUNT_ID", "123456789012")

    assert account.own(context) == "123456789012"
