"""Bedrock on a laptop: an emulator of its runtime, with scripted models and faults."""

from local.bedrock.emulator import Emulator
from local.bedrock.runtime_api import install

__all__ = ["Emulator", "install"]
