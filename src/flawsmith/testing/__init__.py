"""For method authors, ours and plug-ins': conformance suites, and toy data that needs no download."""
