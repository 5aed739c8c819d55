"""A reconstructor for real CT: trained on built-in patients and on CT with a permissive licence, judged on other CT."""
