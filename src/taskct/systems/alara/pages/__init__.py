"""The report page of the dose experiment."""
