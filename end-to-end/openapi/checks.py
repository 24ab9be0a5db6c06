"""What Schemathesis checks besides its own checks: a request that the document allows is no mistake of form."""

import schemathesis
from schemathesis import GenerationMode


@schemathesis.check
def allowed_requests_fit(ctx, response, case):
    """The ledger may refuse such a request, but the gateway may not say that it does not fit."""
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE or response.status_code != 400:
        return
    code = response.json()["code"]
    assert not code.startswith("malformed-"), f"the document allows what the gateway refuses as {code}"
