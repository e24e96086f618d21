"""The errors Bedrock answers with, in its own names and words."""


class BedrockError(Exception):
    """An error of the Bedrock API: `code` is the exception's name in its model."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


def invalid(message: str) -> BedrockError:
    return BedrockError("ValidationException", message)


SCRIPTED_ERRORS = {
    "throttle": ("ThrottlingException", "Too many requests, please wait before trying again."),
    "service_unavailable": ("ServiceUnavailableException", "Bedrock is unable to process your request."),
    "internal_error": (
        "InternalServerException",
        "The system encountered an unexpected error during processing. Try your request again.",
    ),
    "model_timeout": (
        "ModelTimeoutException",
        "Model has timed out in processing the request. Try your request again.",
    ),
    "model_not_ready": (
        "ModelNotReadyException",
        "Model is not ready for inference. Wait and try your request again.",
    ),
    "model_error": ("ModelErrorException", "The model returned an error while processing the request."),
    "access_denied": (
        "AccessDeniedException",
        "You don't have access to the model with the specified model ID.",
    ),
}


def scripted(kind: str) -> BedrockError:
    """The error a scripted fault of this kind answers with."""
    return BedrockError(*SCRIPTED_ERRORS[kind])
