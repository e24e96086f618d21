# Runs in a process of its own, of which all workers come: a start costs a fork in place of a second of imports. With a
# handler in place of a socket it is a worker itself, and imports all by itself.
#
# The zygote has imported what every function imports. For each function it forks a template, which imports the
# handler, in the function's environment, once; each worker is a fork of its function's template. Orders come over a
# socket, with descriptors; the last of them is where the exit status of the one who was born is written.
import importlib
import json
import os
import select
import signal
import socket
import sys
import threading
import time

# Not awslambdaric's client itself: it takes the address that a worker is served at when it is imported.
SHARED = (
    "awslambdaric.lambda_context",
    "awslambdaric.lambda_runtime_log_utils",
    "awslambdaric.lambda_runtime_marshaller",
    "http.client",
    "boto3",
    "aws_lambda_powertools.logging",
    "aws_lambda_powertools.metrics",
    "aws_lambda_powertools.utilities.data_classes",
    "fastjsonschema",
    "cryptography.hazmat.primitives.ciphers.aead",
)
# Services whose descriptions boto3's default session reads once for all.
SERVICES = (
    "appconfigdata",
    "bedrock-runtime",
    "cloudwatch",
    "dynamodb",
    "events",
    "kms",
    "s3",
    "sqs",
    "stepfunctions",
)


def share():
    """Import, and have read, what functions have in common; a function that lacks some of it lacks it by itself."""
    for name in SHARED:
        try:
            importlib.import_module(name)
        except ImportError:
            pass
    if "boto3" in sys.modules:
        for service in SERVICES:
            sys.modules["boto3"].client(service)


def beget(orders, prepare):
    """Fork a child for each order; comes back in the child, with the order and its descriptors."""
    awake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    children = {}
    while True:
        ready, _, _ = select.select([orders, awake], [], [])
        if awake in ready:
            os.read(awake, 4096)
            bury(children)
        if orders not in ready:
            continue
        text, descriptors, _, _ = socket.recv_fds(orders, 1 << 20, 8)
        if not text:
            return None, []
        order = json.loads(text)
        prepare(order, descriptors)
        child = os.fork()
        if child:
            children[child] = descriptors.pop()
            for descriptor in descriptors:
                os.close(descriptor)
            continue
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        orders.close()
        for descriptor in (awake, wake, *children.values()):
            os.close(descriptor)
        return order, descriptors


def bury(children):
    while children:
        child, status = os.waitpid(-1, os.WNOHANG)
        if child == 0:
            return
        descriptor = children.pop(child)
        try:
            os.write(descriptor, b"%d\n" % os.waitstatus_to_exitcode(status))
        except OSError:
            pass
        os.close(descriptor)


class Import:
    """A template's first order makes it import; what that prints is in the first worker's log."""

    def __init__(self, handler):
        self.handler = handler
        self.done = False

    def __call__(self, order, descriptors):
        os.environ.update(order["environment"])
        if self.done:
            return
        self.done = True
        os.dup2(descriptors[1], 1)
        os.dup2(descriptors[1], 2)
        try:
            importlib.import_module(self.handler.rpartition(".")[0].replace("/", "."))
        except Exception:
            pass  # the worker meets it again, and reports it
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor in (1, 2):
            os.dup2(0, descriptor)


def end_with_the_cloud():
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


def main():
    share()
    function, descriptors = beget(socket.socket(fileno=int(sys.argv[1])), lambda *_: None)
    if function is None:
        # The cloud is gone, and so are the templates, wherever they are: they are of this group.
        os.killpg(0, signal.SIGKILL)
    orders, status = descriptors
    os.close(status)
    os.environ.clear()
    os.environ.update(function["environment"])
    os.chdir(function["directory"])
    time.tzset()
    _, descriptors = beget(socket.socket(fileno=orders), Import(function["handler"]))
    if not descriptors:
        os._exit(0)
    os.setsid()
    for number, descriptor in enumerate((descriptors[0], descriptors[1], descriptors[1])):
        os.dup2(descriptor, number)
    os.write(descriptors[2], b"%d\n" % os.getpid())
    for descriptor in descriptors:
        os.close(descriptor)
    work(function["handler"])


def work(handler):
    threading.Thread(target=end_with_the_cloud, daemon=True).start()
    from awslambdaric.__main__ import main as serve

    serve(["awslambdaric", handler])


if sys.argv[1].isdigit():
    main()
else:
    work(sys.argv[1])
