"""What is left when processes of the streaming system are killed: nothing half done, no strays."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil

STARTING = """
import subprocess, sys
training = subprocess.Popen(
    [sys.executable, "-m", "reference.streaming.recommendations.training", sys.argv[1], "1", "c"],
    stdin=sys.stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
)
print(training.pid, flush=True)
training.wait()
"""


def test_a_training_ends_with_the_service_that_began_it(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTING, str(tmp_path)],
        stdin=subprocess.PIPE,  # never ended: the training waits for what it is to learn from
        stdout=subprocess.PIPE,
        text=True,
    ) as service:
        assert service.stdout is not None
        training = psutil.Process(int(service.stdout.readline()))
        service.send_signal(signal.SIGKILL)
        _, left = psutil.wait_procs([training], timeout=30)
        for each in left:
            each.kill()
        assert left == []
    assert list(tmp_path.iterdir()) == []
