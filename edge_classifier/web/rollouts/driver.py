"""The thread that drives roll-outs, whether anybody looks or not."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import Error, connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from edge_classifier.errors import EdgeClassifierError
from edge_classifier.web.database_away import is_away
from edge_classifier.web.database_file import require_same_file
from edge_classifier.web.guarded_thread import BackgroundWork
from edge_classifier.web.installed_models.store import ModelStore
from edge_classifier.web.live.live_client import LiveClient
from edge_classifier.web.models import Camera, Rollout, RolloutDevice
from edge_classifier.web.rollouts import evidence, verdict
from edge_classifier.web.rollouts.going_back import send_back
from edge_classifier.web.rollouts.observed import Observed
from edge_classifier.web.rollouts.offers import ModelOffers
from edge_classifier.web.rollouts.progress import (
    RolloutTurn,
    Surroundings,
    finish,
    go_back,
    note,
)
from edge_classifier.web.rollouts.verdict import Limits, RolloutFinding
from edge_classifier.web.worker.picture_worker import PictureWorker

_log = logging.getLogger(__name__)
_PERIOD_S = 1.0
# After the connection to the broker, until it has told who is there.
_SETTLE_S = 5.0
# Of the time that a device is watched, that may be missing in its records.
_MOST_BEHIND = 0.1


class RolloutDriver(BackgroundWork):
    """Drives all roll-outs that are not over; everything about them is in the database."""

    def __init__(
        self,
        live: LiveClient,
        models: ModelStore,
        worker: PictureWorker,
        *,
        now: Callable[[], datetime] = timezone.now,
        period_s: float = _PERIOD_S,
        settle_s: float = _SETTLE_S,
    ) -> None:
        """``settle_s``: from a connection to the broker until devices count as away."""
        super().__init__("rollouts")
        self._live, self._models, self._worker = live, models, worker
        self._now, self._period_s, self._settle_s = now, period_s, settle_s
        self._trouble, self._is_started = "", False
        self._offers = ModelOffers(live, models)
        # One turn, or what somebody wants of a roll-out, at a time.
        self._turns = threading.Lock()
        # Something is to be done at once.
        self._wake = threading.Event()

    @property
    def problem(self) -> str:
        """Why roll-outs stand still; empty: all is well here, or it was not started yet."""
        return self._trouble or (super().problem if self._is_started else "")

    def start(self) -> None:
        """Start the thread."""
        self._is_started = True
        super().start()

    def stop(self, within_s: float = 5.0) -> None:
        """Stop. What was begun goes on when the page is started again."""
        self._stopped.set()
        self._wake.set()
        super().stop(within_s)

    def wake(self) -> None:
        """Look at once for what there is to do."""
        self._wake.set()

    def halt(self, rollout: Rollout, who: str) -> bool:
        """Send all back, as somebody wants; False: it is over, or does so already."""
        with self._turns, transaction.atomic():
            rollout.refresh_from_db()
            if rollout.state != Rollout.State.RUNNING:
                return False
            go_back(rollout, self._now(), "halted by", who=who)
        self.wake()
        return True

    def leave(self, rollout: Rollout, who: str) -> bool:
        """Ask no more devices, and leave all as they are; False: it is over."""
        with self._turns, transaction.atomic():
            rollout.refresh_from_db()
            if not rollout.is_open:
                return False
            now = self._now()
            note(rollout, now, "stopped by", who=who)
            waiting = rollout.devices.filter(state=RolloutDevice.State.WAITING)
            waiting.update(state=RolloutDevice.State.MISSED, settled_at=now)
            finish(rollout, Rollout.State.STOPPED, now)
        return True

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                self.turn()
                self._wake.wait(self._period_s)
                self._wake.clear()
        finally:
            connection.close()

    def turn(self) -> None:
        """One turn of all roll-outs."""
        try:
            require_same_file()
            found = list(Rollout.objects.filter(state__in=Rollout.OPEN))
            # Who is there is not known without a broker: nothing is held against a device then.
            if found and self._knows_devices():
                for rollout in found:
                    self._drive(rollout)
            if self._offers.are_due() and self._knows_devices():
                self._offers.tell()
        except Error as error:
            connection.close()
            if not is_away(error):
                raise
            if not self._trouble:
                _log.warning("roll-outs wait for the database: %s", error)
            self._trouble = "the database cannot be used"
        else:
            self._trouble = ""

    def _knows_devices(self) -> bool:
        broker = self._live.broker
        since_s = self._now().timestamp() - broker["since"]
        return bool(broker["connected"]) and since_s >= self._settle_s

    def _drive(self, rollout: Rollout) -> None:
        asked: list[tuple[str, dict[str, str]]] = []
        around = Surroundings(
            observe=lambda device, camera: Observed.of(self._live.device(device), camera),
            ask=lambda device, body: asked.append((device, body)),
            judge=self._judge,
            sha256_of=self._sha256_of,
        )
        if rollout.state == Rollout.State.RUNNING:
            # It takes a while, and nobody who wants to halt is to wait for it.
            self._compare_models(rollout)
        with self._turns, transaction.atomic():
            rollout.refresh_from_db()
            if rollout.state == Rollout.State.GOING_BACK:
                send_back(rollout, around, self._now())
            elif rollout.is_open:
                RolloutTurn(rollout, around, self._now()).run()
        # Only now: whoever may have the new model has to be on record, whenever the page is killed.
        for device, body in asked:
            named = body["model"] or "the model of its settings"
            _log.info("%s is asked to run %s", device, named)
            self._live.tell(device, "model", body)

    def _sha256_of(self, version: str) -> str:
        found = (one.sha256 for one in self._models.installed() if one.version == version)
        return next(found, "")

    def _judge(self, rollout: Rollout, row: RolloutDevice, seen: Observed) -> list[RolloutFinding]:
        limits, now = Limits.of_json(rollout.limits), self._now()
        found = [
            verdict.judge_restarts(row.restarts, limits),
            verdict.judge_times(row.before_ms, seen.time_of(rollout.sha256), limits),
        ]
        if row.differ is not None and row.compared:
            found.append(verdict.judge_disagreement(row.differ, row.compared, limits))
        since, of_cameras = row.runs_at or now, list[RolloutFinding]()
        for camera in _cameras(rollout, row):
            told = self._live.camera(row.device, camera.name) or {}
            until = evidence.recorded_until(camera, told.get("event", ""), now)
            if now - until > _MOST_BEHIND * (now - since):
                # What is not recorded yet would be counted to the label before: it is waited for.
                return found
            both = evidence.before_and_after(camera, row.before, since, until)
            of_cameras.append(verdict.judge_unknown(camera.name, *both, limits))
        return found + of_cameras

    def _compare_models(self, rollout: Rollout) -> None:
        """How differently the models see the last pictures of devices that are to be judged.

        Once a device. Nothing is known where the page does not have both models, or no pictures.
        """
        seen_by = self._now() - timedelta(seconds=rollout.watch_s)
        for row in rollout.devices.filter(
            state=RolloutDevice.State.WATCHED, runs_at__lte=seen_by, differ=None
        ):
            by_hash = {one.sha256: one for one in self._models.installed()}
            new, old = by_hash.get(rollout.sha256), by_hash.get(self._sha256_of(row.before))
            counts = 0, 0
            if new and old:
                try:
                    cameras = _cameras(rollout, row)
                    counts = evidence.disagreement(self._worker, cameras, (old, new))
                except EdgeClassifierError as error:
                    _log.warning("the models could not be compared: %s", error)
            differ, compared = counts
            rollout.devices.filter(pk=row.pk).update(differ=differ, compared=compared)


def _cameras(rollout: Rollout, row: RolloutDevice) -> QuerySet[Camera]:
    """Those of a device that are judged: what has a model of its own shows nothing of this one."""
    meant = {"name": rollout.camera} if rollout.camera else {}
    return Camera.objects.filter(device=row.device, **meant)
