"""The JSON API, at /api/v1/."""

from edge_classifier.web.api import classify, model_files, overview, records, rollouts
from edge_classifier.web.api.authentication import WAYS_IN
from edge_classifier.web.api.openapi import DocumentedApi, JsonRenderer, guarded
from edge_classifier.web.api.problems import handle_problems

_DESCRIPTION = """
Pictures in, labels out; and everything that cameras have seen.

Programs send a token, which the page makes at `/tokens`, in the header
`Authorization: Bearer TOKEN`.
Errors are problem details (RFC 9457), with the content type `application/problem+json`.
"""

api = DocumentedApi(
    title="edge-classifier",
    version="1",
    description=_DESCRIPTION,
    auth=WAYS_IN,
    docs_decorator=guarded,
    renderer=JsonRenderer(),
)
handle_problems(api)
for part in (classify, records, overview, model_files, rollouts):
    api.add_router("", part.router)
