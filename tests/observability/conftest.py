"""Prometheus as it is run: its image where a Docker engine answers. STEADYPATH_TEST_DOCKER=required makes "not run" a failure."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "deploy/observability/prometheus"


def image() -> str:
    """The very image of compose.observability.yml."""
    compose = yaml.safe_load((ROOT / "compose.observability.yml").read_text("utf-8"))
    return str(compose["services"]["prometheus"]["image"])


def why_no_docker() -> str | None:
    if shutil.which("docker") is None:
        return "there is no docker command"
    answers = subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=60).returncode == 0
    if not answers:
        return "no Docker engine answers"
    there = subprocess.run(["docker", "image", "inspect", image()], capture_output=True, check=False, timeout=60)
    if there.returncode == 0:
        return None
    pulled = subprocess.run(["docker", "pull", "-q", image()], capture_output=True, check=False, timeout=300)
    return None if pulled.returncode == 0 else f"{image()} cannot be had"


@pytest.fixture(scope="session")
def docker_image() -> str:
    """Prometheus's image, once it is clear that it can be run."""
    why = why_no_docker()
    if why is not None:
        (pytest.fail if os.environ.get("STEADYPATH_TEST_DOCKER") == "required" else pytest.skip)(f"not run: {why}")
    return image()
