"""What pictures look like. The new column is null in old rows: no table is written anew."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("web", "0006_teaching"),
    ]

    operations = [
        migrations.CreateModel(
            name="PictureCode",
            fields=[
                (
                    "picture",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="code",
                        serialize=False,
                        to="web.picture",
                    ),
                ),
                ("base", models.CharField(max_length=16)),
                ("code", models.BinaryField(max_length=256)),
                ("pile", models.BigIntegerField()),
                ("nearest", models.FloatField(null=True)),
            ],
        ),
        migrations.AddField(
            model_name="record",
            name="new_here",
            field=models.BooleanField(editable=False, null=True, verbose_name="new here"),
        ),
        migrations.AddIndex(
            model_name="record",
            index=models.Index(
                condition=models.Q(("new_here", True)), fields=["-at", "-id"], name="record_new"
            ),
        ),
        migrations.AddIndex(
            model_name="picturecode",
            index=models.Index(fields=["pile"], name="code_pile"),
        ),
    ]
