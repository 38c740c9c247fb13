"""Messages of notification rules, and how far records were looked at."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("web", "0008_proposals"),
    ]

    operations = [
        migrations.CreateModel(
            name="NotificationCursor",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("record_id", models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="Notification",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("rule", models.CharField(max_length=60, verbose_name="rule")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("sightings", "sightings"),
                            ("digest", "digest"),
                            ("test", "test"),
                        ],
                        max_length=10,
                        verbose_name="kind",
                    ),
                ),
                ("once", models.CharField(editable=False, max_length=100, null=True, unique=True)),
                ("created_at", models.DateTimeField(verbose_name="made")),
                ("due_at", models.DateTimeField(verbose_name="due")),
                (
                    "state",
                    models.CharField(
                        choices=[("waiting", "waiting"), ("sent", "sent"), ("failed", "not sent")],
                        default="waiting",
                        max_length=8,
                        verbose_name="state",
                    ),
                ),
                ("claimed_until", models.DateTimeField(editable=False, null=True)),
                ("addresses", models.JSONField(default=dict, editable=False)),
                ("more", models.PositiveIntegerField(default=0, editable=False)),
                ("problem", models.CharField(blank=True, max_length=20, verbose_name="problem")),
                ("finished_at", models.DateTimeField(null=True, verbose_name="finished")),
            ],
            options={
                "verbose_name": "notification",
                "verbose_name_plural": "notifications",
                "ordering": ["-id"],
                "indexes": [
                    models.Index(fields=["state", "due_at"], name="notification_due"),
                    models.Index(fields=["rule", "-id"], name="notification_rule"),
                ],
            },
        ),
        migrations.CreateModel(
            name="NotifiedRecord",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("target", models.CharField(editable=False, max_length=32)),
                ("key", models.UUIDField(editable=False)),
                ("reason", models.CharField(blank=True, max_length=12)),
                (
                    "notification",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="records",
                        to="web.notification",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("target", "key"), name="told_once")
                ],
            },
        ),
    ]
