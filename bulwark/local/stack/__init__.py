"""The stack loader: the real template, translated once and created in moto by boto3."""

from bulwark.local.stack.loading import Created, Making, Stack, UnsupportedResource
from bulwark.local.stack.template import TemplateError

__all__ = ["Created", "Making", "Stack", "TemplateError", "UnsupportedResource"]
