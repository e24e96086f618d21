"""Bedrock on a laptop: an emulator of its runtime, with scripted models and faults."""

from bulwark.local.bedrock.emulator import Emulator
from bulwark.local.bedrock.runtime_api import install

__all__ = ["Emulator", "install"]
