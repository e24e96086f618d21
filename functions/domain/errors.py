"""Failures a state machine reacts to: each class name is matched by an ErrorEquals."""


class PolicyUnavailable(Exception):
    """No valid runtime policy could be loaded; nothing may be decided without one."""


class TableContended(Exception):
    """Other writers kept the same items busy; safe to retry."""


class Overtaken(Exception):
    """Another run has written meanwhile; what this one found is stale."""


class ReviewNotHeld(Exception):
    """The request this review belongs to is not waiting for a person."""


class SubjectErased(Exception):
    """The key that a text was sealed under is gone, and the text with it."""


class PayloadGone(Exception):
    """The object a record refers to is not there, and no later try will find it."""


class HoldChanged(Exception):
    """A legal hold was set, or began to be lifted, while its records were gone through; do it again as it is now."""


class SubjectClosed(Exception):
    """The subject is being erased; a request of theirs finds them open again once that is done."""


class CallHeldBack(Exception):
    """A call met a subject that is being erased: who waits is told at once, and sends it again."""


class SubjectHeld(Exception):
    """A legal hold stands: the subject's data may not be erased before it is lifted."""
