"""What a reviewer says, and who comes next."""

import pytest

from edge_classifier.errors import UsageError
from edge_classifier.web.models import Label, Record, User
from edge_classifier.web.review import verdicts
from tests.web import making


@pytest.fixture
def ann(db: None) -> User:
    return User.objects.create_user("ann", role="reviewer")


def truth_of(record: Record) -> tuple[str, str | None]:
    kept = Record.objects.select_related("truth").get(pk=record.pk)
    return kept.verdict, kept.truth.name if kept.truth else None


def test_judge_of_a_record_that_has_just_been_deleted_changes_nothing(ann: User) -> None:
    record = making.upload("cat")
    Record.objects.filter(pk=record.pk).delete()
    verdicts.judge(record, "corrected", "dog", ann)
    assert not Record.objects.exists()
    assert Label.objects.get(name="dog").first_seen is None


@pytest.mark.parametrize(
    ("verdict", "truth", "kept"),
    [
        pytest.param("confirmed", None, ("confirmed", "cat"), id="confirmed"),
        pytest.param("confirmed", "dog", ("confirmed", "cat"), id="confirmed with another label"),
        pytest.param("corrected", "dog", ("corrected", "dog"), id="corrected"),
        pytest.param("corrected", "cat", ("confirmed", "cat"), id="corrected to the same"),
        pytest.param("corrected", " a  b\u3000c ", ("corrected", "a b c"), id="blanks"),
        pytest.param("corrected", "e\u0301clair", ("corrected", "éclair"), id="composed"),
        pytest.param("corrected", "Unknown", ("corrected", "unknown"), id="unknown"),
        pytest.param("corrected", "未知", ("corrected", "unknown"), id="unknown in Chinese"),
        pytest.param("rejected", "dog", ("rejected", None), id="rejected"),
        pytest.param("", "dog", ("", None), id="nothing"),
    ],
)
def test_judge_keeps_what_was_said(
    ann: User, verdict: str, truth: str | None, kept: tuple[str, str | None]
) -> None:
    record = making.upload("cat")
    verdicts.judge(record, verdict, truth, ann)
    assert truth_of(record) == kept


@pytest.mark.parametrize(
    ("verdict", "truth"),
    [
        ("corrected", None),
        ("corrected", "  "),
        ("corrected", "a\x1b[2J"),
        ("corrected", "x" * 201),
        ("perhaps", None),
    ],
)
def test_judge_of_what_cannot_be_meant_is_refused(
    ann: User, verdict: str, truth: str | None
) -> None:
    record = making.upload("cat")
    with pytest.raises(UsageError):
        verdicts.judge(record, verdict, truth, ann)
    assert truth_of(record) == ("", None)
    assert Label.objects.count() == 1


def test_judge_is_signed_and_taken_back_without_a_trace(ann: User) -> None:
    record = making.upload("cat")
    verdicts.judge(record, "corrected", "dog", ann)
    assert (record.reviewer, record.reviewed_at is not None) == (ann, True)
    verdicts.judge(record, "", None, ann)
    kept = Record.objects.get(pk=record.pk)
    assert (kept.verdict, kept.truth, kept.reviewer, kept.reviewed_at) == ("", None, None, None)


@pytest.mark.parametrize("typed", ["dog", "DOG", "狗"])
def test_judge_label_that_is_there_is_not_made_again(ann: User, typed: str) -> None:
    dog = Label.objects.create(name="dog", chinese="狗")
    record = verdicts.judge(making.upload("cat"), "corrected", typed, ann)
    assert record.truth == dog


def test_judge_exact_name_goes_before_one_in_another_case(ann: User) -> None:
    Label.objects.create(name="Turkey")
    exact = Label.objects.create(name="turkey")
    assert verdicts.judge(making.upload("cat"), "corrected", "turkey", ann).truth == exact


def test_judge_all_with_a_bad_label_changes_nothing(ann: User) -> None:
    records = [making.upload("cat"), making.upload("dog")]
    with pytest.raises(UsageError):
        verdicts.judge_all(records, "corrected", "", ann)
    assert [truth_of(record) for record in records] == [("", None)] * 2


def test_queue_has_unreviewed_pictures_with_the_smallest_margin_first(ann: User) -> None:
    picture = making.jpeg()
    sure = making.event("cat", picture=picture, margin=0.8)
    unsure = making.event("cat", picture=picture, margin=0.1)
    making.event("cat", margin=0.0)  # Has no picture.
    verdicts.judge(making.upload("cat", margin=0.05), "confirmed", None, ann)
    every = Record.objects.all()
    assert list(verdicts.queue(every)) == [unsure, sure]
    assert list(verdicts.queue(every, surest_first=True)) == [sure, unsure]


def test_label_that_became_more_specific_meanwhile_is_not_what_was_confirmed(ann: User) -> None:
    record = making.event("cat")
    seen = Record.objects.select_related("label").get()
    Record.objects.update(label=making.label("tabby"))
    record = Record.objects.select_related("label").get()
    verdicts.judge(record, "confirmed", None, ann, shown=seen.label.name)
    assert truth_of(record) == ("corrected", "cat")
    verdicts.judge_all([record], "confirmed", None, ann, shown="tabby")
    assert truth_of(record) == ("confirmed", "tabby")


def test_queue_has_glimpses_only_where_they_are_asked_for(db: None) -> None:
    seen = making.event("cat", picture=making.jpeg())
    glimpsed = making.event("cat", picture=making.jpeg(), source="glimpse", margin=0.0)
    every = Record.objects.all()
    assert list(verdicts.queue(every)) == [seen]
    assert list(verdicts.queue(every, source="glimpse")) == [glimpsed]
    assert list(verdicts.queue(every, source="event")) == [seen]


def test_queue_of_a_camera_a_label_and_a_source_has_no_others(db: None) -> None:
    picture = making.jpeg()
    front = making.event("cat", picture=picture)
    back = making.event("dog", picture=picture, camera=making.camera("back"))
    upload = making.upload("dog")
    every = Record.objects.all()
    assert front.camera is not None
    assert list(verdicts.queue(every, camera=str(front.camera.pk))) == [front]
    assert set(verdicts.queue(every, label="dog")) == {back, upload}
    assert list(verdicts.queue(every, source="upload")) == [upload]
    assert list(verdicts.queue(every, camera="1 OR 1=1")) == []


def test_queue_behind_a_record_is_the_rest_without_a_gap(db: None) -> None:
    records = [making.upload("cat", margin=margin) for margin in (0.1, 0.2, 0.2, 0.2, 0.3)]
    wait = verdicts.queue(Record.objects.all())
    seen = [wait.first()]
    while seen[-1]:
        seen.append(verdicts.queue_after(wait, seen[-1].margin, seen[-1].pk).first())
    assert seen == [*records, None]


def test_queue_is_read_from_its_index(db: None) -> None:
    wait = verdicts.queue(Record.objects.all())[:10]
    assert "record_uncertain" in wait.explain()
