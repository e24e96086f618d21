"""How large an item is. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html"""

import base64
from typing import Any

ITEM_LIMIT = 409_600
TRANSACTION_LIMIT = 4 * 1024 * 1024
TRANSACTION_ACTIONS = 100


def item_size(attributes: dict[str, Any]) -> int:
    """The size of an item's attributes, names included."""
    return sum(len(name.encode()) + value_size(value) for name, value in attributes.items())


def value_size(value: Any) -> int:
    """The size of a value: moto's DynamoType or plain DynamoDB JSON."""
    if isinstance(value, dict):
        ((kind, content),) = value.items()
    else:
        kind, content = value.type, value.value
    if kind == "S":
        return len(content.encode())
    if kind == "N":
        digits = str(content).lstrip("-").replace(".", "").strip("0")
        return (len(digits) + 1) // 2 + 1 + (1 if str(content).startswith("-") else 0)
    if kind == "B":
        return len(content) if isinstance(content, bytes) else len(base64.b64decode(content))
    if kind in ("SS", "NS", "BS"):
        return sum(value_size({kind[0]: each}) for each in content)
    if kind == "L":
        return 3 + sum(1 + value_size(each) for each in content)
    if kind == "M":
        return 3 + sum(1 + len(name.encode()) + value_size(each) for name, each in content.items())
    return 1
