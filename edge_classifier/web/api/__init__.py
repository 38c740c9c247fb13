"""The JSON API."""

from ninja import NinjaAPI

api = NinjaAPI(title="edge-classifier", version="1")
