"""Where a model is reached: an inference profile's id begins with a geography, and a policy serves any Region."""

import os


def in_this_region(model_id: str) -> str:
    """The id by which the stack's Region knows a model of the policy."""
    return model_id.replace("{geography}", os.environ["GEOGRAPHY"])
