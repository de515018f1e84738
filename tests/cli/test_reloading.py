"""What uvicorn's reload looks at, and when."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import uvicorn

from ws4py_middleware.cli.reloading import Reload


@pytest.fixture
def reload(tmp_path: Path) -> Reload:
    """One that looks at a module and at a file of another kind, and has looked once."""
    (tmp_path / "shop.py").write_text("")
    (tmp_path / "routes.toml").write_text("")
    config = uvicorn.Config("shop:app", reload=True, reload_dirs=[str(tmp_path)], reload_delay=0.001)
    made = Reload(config, lambda sockets: None, [])
    made.others = [tmp_path / "routes.toml"]
    made.look()
    return made


def write(path: Path, *, seconds: int) -> None:
    """Write it so much later."""
    path.write_text("")
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime + seconds))


@pytest.mark.parametrize(("name", "seconds"), [("shop.py", 1), ("shop.py", -60), ("routes.toml", 1)])
def test_change_is_seen_once(reload: Reload, tmp_path: Path, name: str, seconds: int) -> None:
    assert reload.should_restart() is None
    write(tmp_path / name, seconds=seconds)
    assert reload.should_restart() == [tmp_path / name]
    assert reload.should_restart() is None


def test_change_during_a_restart_is_seen_after_it(reload: Reload, tmp_path: Path) -> None:
    write(tmp_path / "shop.py", seconds=1)
    assert reload.should_restart()
    write(tmp_path / "shop.py", seconds=2)  # it ends what it has started, and starts it again
    assert reload.should_restart() == [tmp_path / "shop.py"]


def test_file_that_is_replaced_is_a_change_and_a_new_one_is_none(reload: Reload, tmp_path: Path) -> None:
    (tmp_path / "shop.py").unlink()
    (tmp_path / "new.py").write_text("")
    assert reload.should_restart() is None
    write(tmp_path / "shop.py", seconds=1)
    assert reload.should_restart() == [tmp_path / "shop.py"]
