"""The user pool: who a user name is, and which groups they are in now."""

import os

import boto3

from domain.api.callers import Caller

client = boto3.client("cognito-idp")

_LONGEST_NAME = 128


def find(username: str) -> Caller | None:
    """A user who may sign in, by name."""
    if len(username) > _LONGEST_NAME:
        return None
    try:
        user = client.admin_get_user(UserPoolId=os.environ["USER_POOL"], Username=username)
    except (client.exceptions.UserNotFoundException, client.exceptions.InvalidParameterException):
        return None
    if not user.get("Enabled", True):
        return None
    groups = client.admin_list_groups_for_user(UserPoolId=os.environ["USER_POOL"], Username=username, Limit=60)
    subject = next(each["Value"] for each in user["UserAttributes"] if each["Name"] == "sub")
    return Caller.from_groups(subject, user["Username"], [group["GroupName"] for group in groups["Groups"]])
