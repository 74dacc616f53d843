"""The demo is a promise of the README: it holds as a test, too."""

import pytest

from tests.e2e import demo


@pytest.mark.timeout(170)
def test_every_step_of_the_demo_holds(capfd: pytest.CaptureFixture[str]) -> None:
    assert demo.main() == 0
    shown = capfd.readouterr().out
    assert "every step held" in shown
    assert "0 failed" in shown
