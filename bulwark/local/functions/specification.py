"""What the host needs to know of a function, as the template says it."""

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from bulwark.local.clients import ACCOUNT, CREDENTIALS, REGION


@dataclass(frozen=True)
class Function:
    """A function of the stack."""

    name: str
    handler: str
    code: Path
    logical_id: str = ""
    runtime: str = "python3.13"
    timeout: float = 3
    memory: int = 128
    environment: dict[str, str] = field(default_factory=dict)
    layers: tuple[Path, ...] = ()
    log_group: str = ""
    log_format: str = "Text"
    log_level: str = ""
    reserved_concurrency: int | None = None
    dead_letter_arn: str | None = None

    @property
    def arn(self) -> str:
        return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{self.name}"


def environment(
    function: Function, endpoint: str, runtime_api: str, log_stream: str, opt: Path | None
) -> dict[str, str]:
    """A worker's whole environment: Lambda's own variables and the function's, nothing of the owner's."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    python_path = [str(function.code), *([str(opt / "python")] if opt else [])]
    values = {
        **kept,
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC" if sys.platform == "linux" else "UTC",
        "PYTHONPATH": os.pathsep.join(python_path),
        "_HANDLER": function.handler,
        "LAMBDA_TASK_ROOT": str(function.code),
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": function.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": CREDENTIALS["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": CREDENTIALS["aws_secret_access_key"],
        "AWS_SESSION_TOKEN": "local",
        "AWS_ENDPOINT_URL": endpoint,
        # Not of Lambda: nothing of the user's own AWS configuration may be found.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        # Names such as sync-127.0.0.1 do not resolve.
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
    }
    if function.log_format == "JSON":
        values["AWS_LAMBDA_LOG_FORMAT"] = "JSON"
        values["AWS_LAMBDA_LOG_LEVEL"] = function.log_level or "INFO"
    # A variable that is declared empty, for sam to set it in a container, leaves what stands here.
    own = {name: value for name, value in function.environment.items() if value or name not in values}
    return values | {name: _on_disk(value, opt) for name, value in own.items()}


def _on_disk(value: str, opt: Path | None) -> str:
    """A path under /opt, where the layers really are."""
    if opt is None or (value != "/opt" and not value.startswith("/opt/")):
        return value
    return f"{opt}{value.removeprefix('/opt')}"
