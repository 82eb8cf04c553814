import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.installing import install


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root directory with this machine's accounts, into which Tocsin was installed. To be left as it is."""
    if os.geteuid() != 0:
        pytest.skip("systemd/install needs root")
    root = tmp_path_factory.mktemp("image")
    (root / "etc").mkdir()
    for name in ("passwd", "group", "shadow", "gshadow"):
        shutil.copy(Path("/etc") / name, root / "etc")
    done = install("--root", root)
    assert done.returncode == 0, done.stdout + done.stderr
    return root


@pytest.fixture
def copy_of_image(image: Path, tmp_path: Path) -> Path:
    root = tmp_path / "root"
    subprocess.run(["cp", "-a", image, root], check=True)
    return root
