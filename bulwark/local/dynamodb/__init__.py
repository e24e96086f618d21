"""DynamoDB whose writes are serialisable, whose limits are DynamoDB's, and whose streams say what happened."""

from bulwark.local.dynamodb.bridges import install

__all__ = ["install"]
