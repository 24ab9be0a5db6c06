"""What Schemathesis checks besides its own checks: a request that the document allows is no mistake of form."""

import schemathesis
from schemathesis import GenerationMode

# The next bytes of an upload are bytes like others.
schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")

# What JSON Schema cannot say: that a whole number has 64 bits, and that no two cells of a list are about the same.
UNSAYABLE = ("floating point", "none of them twice")


@schemathesis.check
def allowed_requests_fit(ctx, response, case):
    """The ledger may refuse such a request, but the gateway may not say that it does not fit."""
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE or response.status_code != 400:
        return
    if case.method == "HEAD":
        return  # It has no body that would say why.
    problem = response.json()
    code, detail = problem.get("code", ""), problem.get("detail", "")
    if any(text in detail for text in UNSAYABLE):
        return
    assert not code.startswith("malformed-"), f"the document allows what the gateway refuses as {code}: {detail}"
