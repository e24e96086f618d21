"""bulwark/cli/policy.py: a policy's file is read once, so that it may come through a pipe."""

import io
import json
import sys
from pathlib import Path

from bulwark.cli import policy


def test_a_policy_may_come_from_a_pipe(monkeypatch):
    document = json.dumps({"version": "1"})
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbf" + document.encode())))

    assert policy._read(Path("-")) == (document, {"version": "1"})
