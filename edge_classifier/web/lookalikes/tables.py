"""What pictures look like, and which were proposed for lessons; ``web.models`` imports them."""

from typing import ClassVar

from django.db import models


class PictureCode(models.Model):
    """What a picture looks like, as ``worker.child_codes`` has it. Goes with the picture."""

    picture = models.OneToOneField(
        "web.Picture", models.CASCADE, primary_key=True, related_name="code"
    )
    # The first digits of the SHA-256 of the network that it was made by: others do not compare.
    base = models.CharField(max_length=16)
    code = models.BinaryField(max_length=256)
    # Those of one place that look alike: the picture that the first of them was.
    pile = models.BigIntegerField()
    # Distance to the nearest of those that its camera had shown; null while these were few.
    nearest = models.FloatField(null=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["pile"], name="code_pile")]

    def __str__(self) -> str:
        return f"{self.picture_id}"


class ProposedPicture(models.Model):
    """A recorded picture that was proposed for a class of a lesson, and what came of it."""

    of = models.ForeignKey("web.LessonClass", models.CASCADE, related_name="proposed")
    picture = models.ForeignKey("web.Picture", models.CASCADE, related_name="+")
    # Null: it was refused, or the lesson has one like it.
    added = models.ForeignKey(
        "web.LessonPicture", models.CASCADE, null=True, related_name="+", editable=False
    )
    is_refused = models.BooleanField(default=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["of", "picture"], name="proposed_once")
        ]

    def __str__(self) -> str:
        return f"{self.of_id}/{self.picture_id}"
