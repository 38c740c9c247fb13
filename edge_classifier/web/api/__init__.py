"""The JSON API, at /api/v1/."""

from edge_classifier.web.api import classify, facts, records
from edge_classifier.web.api.access import WAYS_IN
from edge_classifier.web.api.documents import Api, Json, guarded
from edge_classifier.web.api.problems import handle_problems

_DESCRIPTION = """
Pictures in, labels out; and everything that cameras have seen.

Programs send a token, which the page makes at `/tokens`, in the header
`Authorization: Bearer TOKEN`.
Errors are problem details (RFC 9457), with the content type `application/problem+json`.
"""

api = Api(
    title="edge-classifier",
    version="1",
    description=_DESCRIPTION,
    auth=WAYS_IN,
    docs_decorator=guarded,
    renderer=Json(),
)
handle_problems(api)
for part in (classify, records, facts):
    api.add_router("", part.router)
