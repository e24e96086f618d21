"""EventBridge: rules that deliver to every target of ours, event source mappings, and schedules that fire."""
