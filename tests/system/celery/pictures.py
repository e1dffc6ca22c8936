"""The pictures of the documentation, taken anew by the browser tests where ``SCREENSHOTS=1`` asks for it."""

from __future__ import annotations

import os
from pathlib import Path

from playwright.sync_api import Locator, Page

IMAGES = Path(__file__).parents[3] / "docs/images"


def take_picture(subject: Locator | Page, name: str) -> None:
    """Save a picture of a page, or of a part of one, as ``docs/images/<name>.png``."""
    if os.environ.get("SCREENSHOTS") == "1":
        IMAGES.mkdir(exist_ok=True)
        subject.screenshot(path=IMAGES / f"{name}.png", animations="disabled")
