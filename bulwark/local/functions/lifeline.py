# Runs inside a worker, before awslambdaric: when the cloud's process is gone, so is this one.
import os
import signal
import sys
import threading


def end_with_the_cloud():
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


threading.Thread(target=end_with_the_cloud, daemon=True).start()

from awslambdaric.__main__ import main  # noqa: E402

main(sys.argv)
