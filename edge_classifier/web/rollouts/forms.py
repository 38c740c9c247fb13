"""What people say when they begin a roll-out."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from edge_classifier.web.rollouts.begin import MOST_HOURS, Plan
from edge_classifier.web.rollouts.selection import DeviceSelection
from edge_classifier.web.rollouts.verdict import Limits

_LONGEST = 200


def _number(label: Any, initial: float, least: float, most: float, help_text: Any = "") -> Any:
    made = forms.FloatField if isinstance(initial, float) else forms.IntegerField
    # 30, and not 30.0.
    shown = int(initial) if initial == int(initial) else initial
    return made(label=label, initial=shown, min_value=least, max_value=most, help_text=help_text)


class SelectionForm(forms.Form):
    """Which devices are shown to choose from."""

    names = forms.CharField(
        label=_("Name of a device or camera"),
        required=False,
        max_length=_LONGEST,
        help_text=_("Several with blanks between; * stands for anything: barn-* gate"),
    )
    running = forms.CharField(label=_("Model that it runs"), required=False, max_length=_LONGEST)
    label = forms.CharField(
        label=_("Label"),
        required=False,
        max_length=_LONGEST,
        help_text=_("One that a camera has shown, or that its model knows"),
    )

    @property
    def selection(self) -> DeviceSelection:
        """What it says; all devices, where it makes no sense."""
        found = self.cleaned_data if self.is_valid() else {}
        return DeviceSelection(
            names=tuple(found.get("names", "").split()),
            model=found.get("running", ""),
            label=found.get("label", ""),
            has_titles=True,
        )

    @property
    def is_used(self) -> bool:
        """Whether some of all devices are shown."""
        return any(field.value() for field in self)


class PlanForm(forms.Form):
    """How it is to go."""

    _plan, _limits = Plan(), Limits()
    first = _number(_("Devices at first"), _plan.first, 1, 100)
    watch = _number(
        _("Minutes that each is watched"), _plan.watch, 0, 10_000, _("before it is judged")
    )
    batch = _number(_("Devices at once, after that"), _plan.batch, 1, 500)
    patience = _number(
        _("Minutes longer, for events"),
        _plan.patience,
        0,
        10_000,
        _("where there were too few to judge"),
    )
    away = _number(
        _("Minutes that an absent device is waited for"),
        _plan.away,
        0.1,
        10_000,
        _("then the others go on, and it counts as lost"),
    )
    hours = _number(
        _("Hours in all"),
        _plan.hours,
        0.1,
        MOST_HOURS,
        _("a device that returns until then gets the model"),
    )
    lost = _number(_("Devices that may be lost or refuse"), _limits.lost, 0, 500)
    unknown = _number(
        _("Rise of the time in “unknown”, in points of %"), 100 * _limits.unknown, 0, 100
    )
    slower = _number(_("Times as long a frame"), _limits.slower, 1, 100)
    restarts = _number(_("Restarts"), _limits.restarts, 0, 100)
    disagreement = _number(
        _("Pictures seen differently than before, in %"), 100 * _limits.disagreement, 0, 100
    )
    observations = _number(
        _("Changes of label that a camera is judged by, at least"), _limits.observations, 2, 10_000
    )
    needs_evidence = forms.BooleanField(
        label=_("Halt where too little was seen to judge"), required=False
    )

    @property
    def steps(self) -> list[forms.BoundField]:
        """What most people change."""
        return [self[name] for name in ("first", "watch", "batch")]

    @property
    def rest(self) -> list[forms.BoundField]:
        """Times and limits."""
        known = {one.name for one in self.steps} | {"needs_evidence"}
        return [field for field in self if field.name not in known]

    @property
    def plan(self) -> Plan:
        """Of a valid form."""
        found = self.cleaned_data
        steps = ("first", "batch", "watch", "patience", "away", "hours")
        limits = Limits(
            unknown=found["unknown"] / 100,
            slower=found["slower"],
            restarts=found["restarts"],
            disagreement=found["disagreement"] / 100,
            lost=found["lost"],
            observations=found["observations"],
            needs_evidence=found["needs_evidence"],
        )
        return Plan(**{name: found[name] for name in steps}, limits=limits)
