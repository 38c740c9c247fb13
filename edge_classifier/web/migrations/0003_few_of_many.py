"""Reviewed records, and uploads, are found among millions of events without reading these."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("web", "0002_device_time")]

    operations = [
        migrations.AddIndex(
            model_name="record",
            index=models.Index(
                condition=~Q(verdict=""), fields=["verdict", "-at", "-id"], name="record_verdict"
            ),
        ),
        migrations.AddIndex(
            model_name="record",
            index=models.Index(
                condition=~Q(source="event"), fields=["source", "-at", "-id"], name="record_upload"
            ),
        ),
    ]
