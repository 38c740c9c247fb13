"""When a device's clock cannot have been right, its stamp is kept apart from the record's time."""

from datetime import UTC, datetime, timedelta

import django.utils.timezone
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import F, Min, Q

# As the recorder judges new events; a broker may have kept old ones for a year.
_AHEAD = timedelta(minutes=10)
_KEPT = timedelta(days=366)
_FIRST = datetime(2024, 1, 1, tzinfo=UTC)
_STEP = 500


def set_doubtful_apart(apps: Apps, _schema: BaseDatabaseSchemaEditor) -> None:
    """Old records were received when they were recorded, which was kept all the time."""
    record, label = apps.get_model("web", "Record"), apps.get_model("web", "Label")
    wrong = (
        Q(at__gt=F("recorded_at") + _AHEAD) | Q(at__lt=F("recorded_at") - _KEPT) | Q(at__lt=_FIRST)
    )
    doubtful = record.objects.filter(wrong, source="event", recorded_at__gte=_FIRST)
    labels, last = set(), 0
    while step := list(doubtful.filter(id__gt=last).order_by("id")[:_STEP]):
        for one in step:
            one.device_at, one.at = one.at, one.recorded_at
            one.day = django.utils.timezone.localdate(one.at)
            labels.add(one.label_id)
        record.objects.bulk_update(step, ["device_at", "at", "day"])
        last = step[-1].id
    for number in labels:
        first = record.objects.filter(label=number).aggregate(first=Min("at"))["first"]
        label.objects.filter(id=number).update(first_seen=first)


class Migration(migrations.Migration):
    dependencies = [("web", "0001_first")]

    operations = [
        migrations.AddField(
            model_name="record",
            name="device_at",
            field=models.DateTimeField(
                editable=False, null=True, verbose_name="time by the device"
            ),
        ),
        migrations.AlterField(
            model_name="record",
            name="recorded_at",
            field=models.DateTimeField(
                default=django.utils.timezone.now, editable=False, verbose_name="recorded"
            ),
        ),
        migrations.AddIndex(
            model_name="record",
            index=models.Index(fields=["recorded_at"], name="record_received"),
        ),
        migrations.RunPython(set_doubtful_apart, migrations.RunPython.noop),
    ]
