"""The report page of the task-adaptive experiment."""
