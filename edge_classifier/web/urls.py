"""Addresses and their views."""

from django.conf.urls.i18n import urlpatterns as language_urls
from django.contrib import admin
from django.urls import include, path

from edge_classifier.web.accounts import views as accounts
from edge_classifier.web.api import api
from edge_classifier.web.classify import views as classify
from edge_classifier.web.comparison import views as comparison
from edge_classifier.web.installed_models import views as models
from edge_classifier.web.live import views as live
from edge_classifier.web.maintenance import health
from edge_classifier.web.records import views as records
from edge_classifier.web.review import views as review

urlpatterns = [
    path("", classify.page, name="classify"),
    path("classify", classify.upload, name="upload"),
    path("records/<uuid:key>", records.record, name="record"),
    path("pictures/<uuid:key>.jpg", records.picture, name="picture"),
    path("thumbnails/<uuid:key>.jpg", records.thumbnail, name="thumbnail"),
    path("live", live.page, name="live"),
    path("live/stream", live.stream, name="live-stream"),
    path("live/<str:device>/<str:camera>.jpg", live.frame, name="live-frame"),
    path("history", records.history, name="history"),
    path("history/names", records.names, name="history-names"),
    path("history/chart", records.chart, name="history-chart"),
    path("history/export.csv", records.export_csv, name="history-csv"),
    path("history/export.json", records.export_json, name="history-json"),
    path("history/delete", records.delete, name="history-delete"),
    path("review", review.page, name="review"),
    path("review/dataset.zip", review.dataset, name="review-dataset"),
    path("review/compare", comparison.compare, name="review-compare"),
    path("review/<uuid:key>", review.judge, name="review-judge"),
    path("models", models.page, name="models"),
    path("models/upload", models.upload, name="models-upload"),
    path("models/choose", models.choose, name="models-choose"),
    path("models/switch", models.switch, name="models-switch"),
    path("models/<str:name>/report", models.report, name="models-report"),
    path("models/<str:name>/delete", models.delete, name="models-delete"),
    path("tokens", accounts.token_list, name="tokens"),
    path("tokens/make", accounts.create_token, name="tokens-create"),
    path("tokens/<int:number>/revoke", accounts.revoke_token, name="tokens-revoke"),
    path("login", accounts.LoginView.as_view(), name="login"),
    path("logout", accounts.LogoutView.as_view(), name="logout"),
    path("password", accounts.PasswordView.as_view(), name="password"),
    path("setup/<str:token>", accounts.first_run, name="first-run"),
    path("healthz", health.page, name="health"),
    path("i18n/", include(language_urls)),
    path("api/v1/", api.urls),
    path("admin/", admin.site.urls),
]
handler400 = "edge_classifier.web.error_views.bad_request"
handler500 = "edge_classifier.web.error_views.server_error"
