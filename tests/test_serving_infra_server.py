"""The server's process ends with the one that started it."""

import os
import pathlib
import sys
import time

import pytest

from serving import infra_server


@pytest.mark.skipif(not infra_server.leash(), reason="no setpriv here")
def test_a_server_does_not_outlive_a_killed_push(tmp_path):
    script = "import time; print('on', flush=True); time.sleep(600)"
    parent = (
        "import os, subprocess, sys\n"
        "from serving.infra_server import leash\n"
        f"words = [*leash(), sys.executable, '-c', {script!r}]\n"
        "child = subprocess.Popen(words, stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", parent])
    child = pathlib.Path(f"/proc/{(tmp_path / 'pid').read_text()}/stat")
    end = time.monotonic() + 20
    while child.exists() and child.read_text().split()[2] != "Z":
        assert time.monotonic() < end
        time.sleep(0.02)
