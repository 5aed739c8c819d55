"""Tables -> figures and pages."""
