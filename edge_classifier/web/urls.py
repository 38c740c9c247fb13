"""Addresses and their views."""

from django.conf.urls.i18n import urlpatterns as language_urls
from django.contrib import admin
from django.urls import include, path

from edge_classifier.web.accounts import people_views as people
from edge_classifier.web.accounts import views as accounts
from edge_classifier.web.api import api
from edge_classifier.web.classify import views as classify
from edge_classifier.web.comparison import views as comparison
from edge_classifier.web.installed_models import device_tokens
from edge_classifier.web.installed_models import views as models
from edge_classifier.web.lessons import class_views as lesson_classes
from edge_classifier.web.lessons import collecting as lesson_collecting
from edge_classifier.web.lessons import history_views as lesson_history
from edge_classifier.web.lessons import picture_views as lesson_pictures
from edge_classifier.web.lessons import store_views as lesson_store
from edge_classifier.web.lessons import views as lessons
from edge_classifier.web.lessons.teaching import views as teaching
from edge_classifier.web.live import views as live
from edge_classifier.web.live.camera_page import controls as live_controls
from edge_classifier.web.live.forget import forget
from edge_classifier.web.live.moving import moving
from edge_classifier.web.lookalikes import views as lookalikes
from edge_classifier.web.maintenance import health
from edge_classifier.web.notify import views as notify
from edge_classifier.web.records import label_views, record_views
from edge_classifier.web.records import views as records
from edge_classifier.web.review import views as review
from edge_classifier.web.rollouts import views as rollouts
from edge_classifier.web.shell import installable, navigation

urlpatterns = [
    path("", live.first_page, name="first"),
    path("classify", classify.page, name="classify"),
    path("records/<uuid:key>", record_views.record, name="record"),
    path("pictures/<uuid:key>.jpg", record_views.picture, name="picture"),
    path("thumbnails/<uuid:key>.jpg", record_views.thumbnail, name="thumbnail"),
    path("live", live.page, name="live"),
    path("live/stream", live.stream, name="live-stream"),
    path("live/moving", moving, name="live-moving"),
    path("live/<str:device>/<str:camera>.jpg", live.frame, name="live-frame"),
    path("live/forget", forget, name="live-forget"),
    path("live/<str:device>/<str:camera>", live.camera, name="live-camera"),
    path("live/<str:device>/<str:camera>/change", live_controls.change, name="live-change"),
    path("live/<str:device>/<str:camera>/effect", live_controls.effect, name="live-effect"),
    path("history", records.history, name="history"),
    path("labels/<int:number>", label_views.label_page, name="label"),
    path("history/names", records.names, name="history-names"),
    path("history/days", records.calendar, name="history-days"),
    path("history/chart", records.chart, name="history-chart"),
    path("history/export.csv", records.export_csv, name="history-csv"),
    path("history/export.json", records.export_json, name="history-json"),
    path("history/delete", records.delete, name="history-delete"),
    path("review", review.page, name="review"),
    path("review/dataset.zip", review.dataset, name="review-dataset"),
    path("review/compare", comparison.compare, name="review-compare"),
    path("review/<uuid:key>", review.judge, name="review-judge"),
    path("review/<uuid:key>/never", review.never_again, name="review-never"),
    path("teach", lessons.lesson_list, name="lessons"),
    path("teach/from-history", lesson_history.choose_class, name="lesson-choose-class"),
    path(
        "teach/store/<str:camera>/<str:name>",
        lesson_store.store_picture,
        name="lesson-store-picture",
    ),
    path("teach/<uuid:key>", lessons.lesson_page, name="lesson"),
    path(
        "teach/<uuid:key>/classes/<int:number>/store",
        lesson_store.from_store,
        name="lesson-store",
    ),
    path("teach/<uuid:key>/settings", lessons.settings, name="lesson-settings"),
    path("teach/<uuid:key>/delete", lessons.delete, name="lesson-delete"),
    path("teach/<uuid:key>/lesson.zip", lessons.archive, name="lesson-zip"),
    path("teach/<uuid:key>/frames", lesson_collecting.frames, name="lesson-frames"),
    path("teach/<uuid:key>/classes", lesson_classes.add, name="lesson-class-add"),
    path("teach/<uuid:key>/classes/<int:number>", lesson_classes.class_page, name="lesson-class"),
    path(
        "teach/<uuid:key>/classes/<int:number>/delete",
        lesson_classes.delete,
        name="lesson-class-delete",
    ),
    path(
        "teach/<uuid:key>/classes/<int:number>/history",
        lesson_history.from_history,
        name="lesson-history",
    ),
    path("teach/<uuid:key>/pictures", lesson_pictures.act, name="lesson-pictures"),
    path("teach/<uuid:key>/pictures/add", lesson_pictures.upload, name="lesson-pictures-add"),
    path(
        "teach/<uuid:key>/pictures/<int:number>.jpg", lesson_pictures.picture, name="lesson-picture"
    ),
    path(
        "teach/<uuid:key>/thumbnails/<int:number>.jpg",
        lesson_pictures.thumbnail,
        name="lesson-thumbnail",
    ),
    path("teach/<uuid:key>/panel", teaching.panel, name="lesson-panel"),
    path("teach/<uuid:key>/teach", teaching.teach, name="lesson-teach"),
    path("teach/<uuid:key>/cancel", teaching.cancel, name="lesson-cancel"),
    path("teach/<uuid:key>/settle", teaching.settle, name="lesson-settle"),
    path("teach/<uuid:key>/upload", teaching.upload, name="lesson-upload"),
    path("teach/<uuid:key>/<int:number>/report", teaching.report, name="lesson-report"),
    path("teach/<uuid:key>/<int:number>/try", teaching.try_live, name="lesson-try"),
    path("teach/<uuid:key>/<int:number>/stream", teaching.try_stream, name="lesson-try-stream"),
    path("teach/<uuid:key>/<int:number>/use", teaching.use, name="lesson-use"),
    path("teach/<uuid:key>/back/<int:number>", teaching.go_back, name="lesson-back"),
    path("teach/<uuid:key>/classes/<int:number>/more", lookalikes.more, name="lesson-more"),
    path("models", models.page, name="models"),
    path("models/upload", models.upload, name="models-upload"),
    path("models/choose", models.choose, name="models-choose"),
    path("models/switch", models.switch, name="models-switch"),
    path("models/tokens", device_tokens.page, name="models-tokens"),
    path("models/tokens/make", device_tokens.create, name="models-tokens-create"),
    path("models/tokens/<int:number>/revoke", device_tokens.revoke, name="models-tokens-revoke"),
    path("models/<str:name>/report", models.report, name="models-report"),
    path("models/<str:name>/send", models.send, name="models-send"),
    path("models/<str:name>/delete", models.delete, name="models-delete"),
    path("rollouts", rollouts.page, name="rollouts"),
    path("rollouts/new", rollouts.create, name="rollout-create"),
    path("rollouts/<int:number>", rollouts.rollout_page, name="rollout"),
    path("rollouts/<int:number>/halt", rollouts.halt, name="rollout-halt"),
    path("notify", notify.page, name="notify"),
    path("notify/test", notify.test, name="notify-test"),
    path("tokens", accounts.token_list, name="tokens"),
    path("tokens/make", accounts.create_token, name="tokens-create"),
    path("tokens/<int:number>/revoke", accounts.revoke_token, name="tokens-revoke"),
    path("accounts", people.account_list, name="accounts"),
    path("accounts/<int:number>/role", people.change_role, name="account-role"),
    path("accounts/<int:number>/password", people.reset_password, name="account-password"),
    path("accounts/<int:number>/remove", people.remove, name="account-remove"),
    path(
        "welcome/<str:uidb64>/<str:token>",
        people.ChoosePasswordView.as_view(),
        name="choose-password",
    ),
    path("login", accounts.LoginView.as_view(), name="login"),
    path("logout", accounts.LogoutView.as_view(), name="logout"),
    path("password", accounts.PasswordView.as_view(), name="password"),
    path("setup/<str:token>", accounts.first_run, name="first-run"),
    path("healthz", health.page, name="health"),
    path("manifest.webmanifest", installable.manifest, name="manifest"),
    path("service-worker.js", installable.service_worker, name="service-worker"),
    path("offline", installable.offline, name="offline"),
    path("theme", navigation.set_theme, name="set-theme"),
    path("i18n/", include(language_urls)),
    path("api/v1/", api.urls),
    path("admin/", admin.site.urls),
]
handler400 = "edge_classifier.web.error_views.bad_request"
handler404 = "edge_classifier.web.error_views.not_found"
handler500 = "edge_classifier.web.error_views.server_error"
