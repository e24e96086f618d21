"""Gap of moto 5.2: two receivers may get the same message at once, and one waiting sees a message return late.

Bridged: receiving is done by one at a time, and a wait ends when a message arrives or becomes visible again; a message
and its attributes together may have 1 MiB, counted in bytes. moto has closed the gap when `receive_message` holds a
lock of the queue's.
"""

import threading
import time
from typing import Any

from moto.sqs.exceptions import InvalidParameterValue
from moto.sqs.models import Queue, SQSBackend

from bulwark.local.moto_names import replace, require

MESSAGE_LIMIT = 1_048_576
_stopping = threading.Event()


def install() -> None:
    """Bridge moto's SQS until the cloud stops."""
    require("moto.sqs.models:Queue.wait_for_messages", "moto.sqs.models:Message.visible")
    _stopping.clear()
    replace("moto.sqs.models:SQSBackend.is_message_valid_based_on_retention_period", _is_kept)
    receive_now = replace("moto.sqs.models:SQSBackend.receive_message", lambda *_, **__: None)
    delete_now = replace("moto.sqs.models:SQSBackend.delete_message", lambda *_: None)
    send_now = replace("moto.sqs.models:SQSBackend.send_message", lambda *_, **__: None)
    replace("moto.sqs.models:SQSBackend.receive_message", _receiving(receive_now))
    replace("moto.sqs.models:SQSBackend.delete_message", _deleting(delete_now))
    replace("moto.sqs.models:SQSBackend.send_message", _sending(send_now))


def stop(backend: SQSBackend) -> None:
    """Send every waiting receiver home."""
    _stopping.set()
    for queue in list(backend.queues.values()):
        with queue._messages_lock:
            queue._messages_lock.notify_all()


def _is_kept(backend: SQSBackend, queue_name: str, message: Any) -> bool:
    # moto asks for all attributes of the queue, counts of its messages among them, at each message.
    return int(backend.get_queue(queue_name).message_retention_period) > time.time() - message.sent_timestamp / 1000


def _receiving(receive_now: Any) -> Any:
    def receive_message(
        backend: SQSBackend,
        queue_name: str,
        count: int,
        wait_seconds_timeout: int,
        visibility_timeout: int,
        message_attribute_names: list[str] | None = None,
    ) -> list[Any]:
        queue = backend.get_queue(queue_name)
        until = time.monotonic() + (wait_seconds_timeout or 0)
        while True:
            with queue._messages_lock:
                found = receive_now(backend, queue_name, count, 0, visibility_timeout, message_attribute_names)
                left = until - time.monotonic()
                if found or left <= 0 or _stopping.is_set():
                    return found
                queue._messages_lock.wait(min(left, _next_visible(queue)))

    return receive_message


def _deleting(delete_now: Any) -> Any:
    def delete_message(backend: SQSBackend, queue_name: str, receipt_handle: str) -> None:
        with backend.get_queue(queue_name)._messages_lock:
            delete_now(backend, queue_name, receipt_handle)

    return delete_message


def _sending(send_now: Any) -> Any:
    def send_message(backend: SQSBackend, queue_name: str, message_body: str, *args: Any, **options: Any) -> Any:
        attributes = args[0] if args else options.get("message_attributes")
        size = len(message_body.encode()) + sum(
            len(name.encode()) + sum(len(part.encode() if isinstance(part, str) else part) for part in value.values())
            for name, value in (attributes or {}).items()
        )
        limit = int(backend.get_queue(queue_name).maximum_message_size)
        if size > limit:
            raise InvalidParameterValue(
                f"One or more parameters are invalid. Reason: Message must be shorter than {limit} bytes."
            )
        return send_now(backend, queue_name, message_body, *args, **options)

    return send_message


def _next_visible(queue: Queue) -> float:
    """Seconds until a message that is hidden or delayed can be received."""
    now = time.time() * 1000
    moments = [max(message.visible_at, message.delayed_until) - now for message in queue._messages]
    hidden = [moment for moment in moments if moment > 0]
    return min(min(hidden) / 1000 + 0.002, 1.0) if hidden else 1.0
