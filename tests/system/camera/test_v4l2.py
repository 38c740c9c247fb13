"""Cameras that the kernel knows, by a real driver in a kernel that has it."""

from collections.abc import Iterator

import pytest

from tests.system.camera import guest as telling
from tests.system.camera import usb_guest, v4l2_guest
from tests.system.camera.vm import VirtualMachine, installed

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualMachine]:
    with VirtualMachine(installed(), tmp_path_factory.mktemp("vm")) as guest:
        guest.run(telling.BEGIN)
        yield guest


@pytest.mark.parametrize("story", v4l2_guest.STORIES)
def test_device(story: str, guest: VirtualMachine) -> None:
    guest.run(telling.TELL.format(name=f"device {story}"))


@pytest.mark.parametrize("story", usb_guest.STORIES)
def test_usb_camera(story: str, guest: VirtualMachine) -> None:
    guest.run(telling.TELL.format(name=f"usb {story}"))
