"""inference/admit/identify_tenant.py: whose a request is, nobody says of themselves."""

import pytest

from domain.requests import Reason, RequestRefused
from inference.admit.identify_tenant import identify_tenant


@pytest.mark.parametrize(
    ("event", "tenant", "channel"),
    [
        ({"source": "acme.app"}, "acme", "event"),
        ({"source": "globex.app"}, "globex", "event"),
        ({"tenant": "globex", "source": "acme.app"}, "globex", "sync"),
    ],
)
def test_a_tenant_is_the_token_s_or_the_producer_s(admission, event, tenant, channel):
    identified = identify_tenant(admission("identify_tenant", **event))

    assert (identified.tenant.name, identified.channel) == (tenant, channel)


@pytest.mark.parametrize(
    "event", [{"source": "nobody.app"}, {"account": "999999999999"}, {"tenant": "initech"}, {"source": ""}]
)
def test_nobody_s_request_is_refused(admission, event):
    with pytest.raises(RequestRefused) as refused:
        identify_tenant(admission("identify_tenant", **event))

    assert (refused.value.reason, refused.value.field) == (Reason.UNKNOWN_TENANT, "source")
