"""Rolls models out from a terminal, with a token that a page has made."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.web.installed_models.test_models_travel import Administrator
from tests.web.serving import Page


def token(ann: Administrator, where: str, kept_at: Path) -> Path:
    """A token that the page has made, in a file."""
    made = ann.post(f"{where}/make", at=where, name="test")
    (secret,) = re.findall(r'value="(edge_[^"]+)"', made)
    kept_at.write_text(secret)
    kept_at.chmod(0o600)
    return kept_at


def deploy(page: Page, secret: Path, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "edge_classifier", "models", "deploy", *arguments]
    return subprocess.Popen(
        [*command, "--page", page.address, "--token-file", str(secret), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: "subprocess.Popen[str]", within_s: float = 90) -> tuple[int, Any, str]:
    """Exit code, what it printed as JSON, and its notes."""
    out, said = process.communicate(timeout=within_s)
    return process.returncode, json.loads(out) if out.strip() else None, said
