"""A guardrail's version is a snapshot: CloudFormation makes a new one only when the version's own text changes."""

import hashlib
import json


def test_the_guardrail_version_names_the_guardrail_it_is_of(template):
    guardrail = template["Resources"]["Guardrail"]["Properties"]
    digest = hashlib.sha256(json.dumps(guardrail, sort_keys=True).encode()).hexdigest()[:8]

    said = template["Resources"]["GuardrailVersion"]["Properties"]["Description"]

    assert said == f"of guardrail {digest}", (
        "the guardrail changed: put its new digest here, and a version is made of it"
    )
