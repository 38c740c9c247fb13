"""A reviewer's tour through a camera's controls: a real browser, page, broker and daemon."""

import json
import re

from tests.mosquitto import Listener
from tests.running_daemon import NODE, ROOT
from tests.waiting import eventually
from tests.web.live.live_site import Site

from playwright.sync_api import Locator, expect  # isort: skip (tests.browsing may skip)
from playwright.sync_api import Page as Tab  # isort: skip

_DONE = "Done: the daemon has taken it."
_RESET = "Done: as in the settings file again."


def control(tab: Tab, name: str) -> Locator:
    return tab.locator(f"#control-{name}")


def saved(tab: Tab, name: str, button: str = "Save", said: str = _DONE) -> None:
    control(tab, name).get_by_role("button", name=button).click()
    expect(control(tab, name).locator(".answer")).to_have_text(said)


def reset(tab: Tab, name: str) -> None:
    saved(tab, name, "As in the settings file", _RESET)
    expect(control(tab, name).get_by_text("set over MQTT")).to_have_count(0)


def test_camera_is_switched_off_and_on_again_where_its_picture_is(site: Site) -> None:
    with site.visit() as tab:
        tab.goto("/")
        expect(tab).to_have_url(re.compile("/live$"))
        tab.get_by_role("link", name="Front door").click()
        expect(tab.get_by_role("heading", level=1)).to_contain_text("Front door")
        saved(tab, "enabled", "Switch off")
        expect(control(tab, "enabled").get_by_text("set over MQTT")).to_be_visible()
        # What the daemon says then, on the picture itself.
        expect(tab.locator(".large").get_by_text("switched off")).to_be_visible()
        expect(tab.locator(".large .moving")).to_have_count(0)
        reset(tab, "enabled")
        expect(tab.locator(".large .moving canvas")).to_be_visible()


def test_controls_follow_what_others_change_and_keep_what_is_typed(site: Site) -> None:
    with site.visit() as tab, site.visit() as other:
        for one in (tab, other):
            one.goto("/live/pi/front")
            one.get_by_text("More settings").click()
        typed = control(tab, "title").locator("input[name=value]")
        typed.fill("Gate")
        for name, value in (("rate_fps", "4"), ("title", "Door")):
            control(other, name).locator("input[name=value]").fill(value)
            saved(other, name)
        # What nobody is at is as the daemon says; what is typed stays, and says what has happened.
        rate = control(tab, "rate_fps")
        expect(rate.locator("input[name=value]")).to_have_value("4")
        expect(rate.get_by_text("set over MQTT")).to_be_visible()
        expect(tab.get_by_role("heading", level=1)).to_contain_text("Door")
        expect(control(tab, "title").locator(".answer")).to_contain_text("changed elsewhere")
        expect(typed).to_have_value("Gate")
        saved(tab, "title")
        expect(control(other, "title").locator("input[name=value]")).to_have_value("Gate")
        for name in ("rate_fps", "title"):
            reset(tab, name)


def told(site: Site, name: str) -> object:
    """What the daemon tells of a setting to whoever comes now."""
    with Listener(site.broker.port, f"{ROOT}/info", name="asker") as listener:
        eventually(lambda: listener.of("/info"))
        info = json.loads(listener.of("/info")[-1].payload)
    return info["settings"]["front"][name]["value"]


def numbers(tab: Tab) -> list[float]:
    names = ("left", "top", "width", "height")
    fields = [control(tab, "region").locator(f"[name={name}]") for name in names]
    return [float(field.input_value()) for field in fields]


def test_region_is_drawn_by_finger_and_saved_on_the_picture(site: Site) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
    with site.visit(**phone) as tab:
        tab.goto("/live/pi/front")
        expect(tab.locator(".large .moving canvas")).to_be_visible()
        # By click: on a busy machine the browser takes a tap for a long press.
        control(tab, "region").get_by_role("button", name="Draw on the picture").click()
        expect(tab.locator(".region-help")).to_have_text("Drag on the picture.")
        place = tab.locator(".region-editor").bounding_box()
        assert place
        finger = tab.context.new_cdp_session(tab)
        for share, kind in ((0.2, "touchStart"), (0.4, "touchMove"), (0.6, "touchMove")):
            at = {
                "x": place["x"] + share * place["width"],
                "y": place["y"] + share * place["height"],
            }
            finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [at]})
        finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        tab.locator(".region-save").click()
        expect(control(tab, "region").locator(".answer")).to_have_text(_DONE)
        expect(control(tab, "region").locator(".answer")).to_be_in_viewport()
        region = told(site, "region")
        assert isinstance(region, dict)
        found = [100 * region[edge] for edge in ("left", "top", "width", "height")]
        assert all(
            abs(one - share) <= 1 for one, share in zip(found, (20, 20, 40, 40), strict=True)
        )
        reset(tab, "region")


def test_region_is_drawn_on_the_picture_by_pointer_and_keys(site: Site) -> None:
    with site.visit() as tab:
        tab.goto("/live/pi/front")
        expect(tab.locator(".large .moving canvas")).to_be_visible()
        control(tab, "region").get_by_role("button", name="Draw on the picture").click()
        editor = tab.get_by_role("application", name="Region on the picture")
        expect(editor).to_be_focused()
        # News of the camera draws all around it anew, and takes nothing away.
        tab.evaluate("() => { window.before = document.querySelector('.large'); }")
        tab.wait_for_function("() => !window.before.isConnected")
        expect(editor).to_be_focused()
        place = editor.bounding_box()
        assert place

        def drag(*points: tuple[float, float]) -> None:
            """From one point to the other, in shares of the picture."""
            for number, (x, y) in enumerate(points):
                at = (place["x"] + x * place["width"], place["y"] + y * place["height"])
                tab.mouse.move(*at)
                if not number:
                    tab.mouse.down()
            tab.mouse.up()

        drag((0.2, 0.2), (0.6, 0.5))
        assert [round(one) for one in numbers(tab)] == [20, 20, 40, 30]
        drag((0.4, 0.35), (0.7, 0.85))
        assert [round(one) for one in numbers(tab)] == [50, 70, 40, 30]
        # By its corner: the opposite one stays.
        drag((0.51, 0.71), (0.4, 0.5))
        assert [round(one) for one in numbers(tab)] == [40, 50, 50, 50]
        tab.keyboard.press("ArrowLeft")
        tab.keyboard.press("Shift+ArrowUp")
        assert [round(one) for one in numbers(tab)] == [39, 50, 50, 49]
        tab.keyboard.press("Enter")
        expect(editor).to_have_count(0)
        saved(tab, "region")
        region = told(site, "region")
        assert isinstance(region, dict)
        assert [round(100 * region[edge]) for edge in ("left", "top", "width", "height")] == [
            *(39, 50, 50, 49)
        ]
        reset(tab, "region")
        assert numbers(tab) == [0, 0, 100, 100]


def test_threshold_says_what_it_would_have_done_and_the_daemon_has_the_last_word(
    site: Site,
) -> None:
    with site.visit() as tab:
        tab.goto("/live/pi/front")
        slider = tab.get_by_role("slider", name="Threshold", exact=True)
        before = tab.locator("#effect-enter").inner_text()
        slider.focus()
        for _ in range(5):
            tab.keyboard.press("ArrowRight")
        expect(tab.locator("#value-enter")).to_have_text("0.65")
        expect(tab.locator("#effect-enter")).not_to_have_text(before)
        expect(tab.locator("#effect-enter")).to_contain_text("at most")
        saved(tab, "enter")
        assert told(site, "enter") == 0.65
        tab.get_by_text("More settings").click()
        tab.get_by_role("slider", name="Threshold below which a label ends").fill("0.9")
        control(tab, "leave").get_by_role("button", name="Save").click()
        expect(control(tab, "leave").locator(".answer.bad")).to_contain_text("is above enter")
        reset(tab, "enter")
        assert told(site, "enter") == 0.6


def test_save_is_there_once_something_has_changed_and_focus_stays_in_the_form(site: Site) -> None:
    with site.visit() as tab:
        tab.goto("/live/pi/front")
        save = control(tab, "enter").get_by_role("button", name="Save")
        expect(control(tab, "enter").get_by_role("slider")).to_be_visible()
        expect(save).to_be_hidden()
        # What it would have done is told beneath, which moves the button.
        with tab.expect_response(lambda answer: "value=0.61" in answer.url):
            control(tab, "enter").get_by_role("slider").press("ArrowRight")
        expect(save).to_be_visible()
        saved(tab, "enter")
        expect(save).to_be_hidden()
        expect(control(tab, "enter").locator(":focus")).to_have_count(1)
        reset(tab, "enter")
        # Drawn with no change at all: there is nothing to save, and to do it again is at hand.
        draw = control(tab, "region").get_by_role("button", name="Draw on the picture")
        expect(tab.locator(".large .moving canvas")).to_be_visible()
        draw.click()
        tab.keyboard.press("Enter")
        expect(draw).to_be_focused()


def test_controls_work_without_a_script(site: Site) -> None:
    with site.visit(java_script_enabled=False) as tab:
        tab.goto("/live/pi/back")
        expect(control(tab, "region").get_by_text("Draw on the picture")).to_be_hidden()
        expect(control(tab, "region").get_by_role("button", name="Save")).to_be_visible()
        tab.locator("details.rare summary").click()
        control(tab, "title").get_by_role("textbox").fill("Pond")
        saved(tab, "title")
        reset(tab, "title")


def test_device_that_is_gone_is_forgotten_and_there_again_when_it_comes_back(site: Site) -> None:
    site.daemon.kill()
    try:
        with site.visit() as tab:
            tab.goto("/live/pi/front")
            tab.get_by_role("button", name=f"Forget {NODE}").click()
            expect(tab.get_by_text(f"{NODE} is forgotten.")).to_be_visible()
            expect(tab.get_by_text("No device has been heard yet")).to_be_visible()
            every = ("edge-classifier/#", "homeassistant/#")
            with Listener(site.broker.port, *every, name="heir") as listener:
                listener.publish("edge-classifier/end", "of what was kept")
                eventually(lambda: listener.of("/end"))
                assert [one.topic for one in listener.messages if NODE in one.topic] == []
            site.daemon.start()
            expect(tab.get_by_role("link", name="Front door")).to_be_visible()
    finally:
        if site.daemon.process and site.daemon.process.poll() is not None:
            site.daemon.start()
