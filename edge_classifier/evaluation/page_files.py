"""The files of a report's page: one in each language, beside each other."""

PAGES = {"en": "report.html", "zh-Hans": "report.zh-Hans.html"}
