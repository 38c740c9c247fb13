"""Events have an end, a best score and a better picture; and there are glimpses.

The new columns are null in old rows, so that no table of millions is written anew.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("web", "0003_few_of_many"),
    ]

    operations = [
        migrations.CreateModel(
            name="DeletedEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", models.UUIDField(editable=False, unique=True)),
                ("deleted_at", models.DateTimeField(auto_now_add=True, db_index=True)),
            ],
        ),
        migrations.AddField(
            model_name="eventpicture",
            name="box",
            field=models.JSONField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="eventpicture",
            name="frame_ms",
            field=models.BigIntegerField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="eventpicture",
            name="place",
            field=models.CharField(blank=True, editable=False, max_length=130),
        ),
        migrations.AddField(
            model_name="label",
            name="first_glimpsed",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="record",
            name="duration_s",
            field=models.FloatField(editable=False, null=True, verbose_name="duration, s"),
        ),
        migrations.AddField(
            model_name="record",
            name="entry_score",
            field=models.FloatField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="record",
            name="peak_after_s",
            field=models.FloatField(editable=False, null=True),
        ),
        migrations.AlterField(
            model_name="eventpicture",
            name="key",
            field=models.UUIDField(editable=False),
        ),
        migrations.AlterField(
            model_name="record",
            name="source",
            field=models.CharField(
                choices=[
                    ("event", "camera"),
                    ("upload", "upload"),
                    ("api", "program"),
                    ("glimpse", "camera, glimpsed"),
                ],
                max_length=8,
                verbose_name="source",
            ),
        ),
        migrations.AddIndex(
            model_name="record",
            index=models.Index(fields=["-score", "-id"], name="record_score"),
        ),
        migrations.AddConstraint(
            model_name="eventpicture",
            constraint=models.UniqueConstraint(fields=("key", "place"), name="one_picture"),
        ),
    ]
