"""The pages of the dashboard by group, each with its icon."""

from __future__ import annotations

PAGES = {
    "nav.analysis": {
        "overview": "dashboard",
        "entities": "label",
        "relations": "hub",
        "events": "bolt",
        "aspects": "rate_review",
        "aspect_sentiment": "thumbs_up_down",
        "sentiment": "sentiment_satisfied",
        "classification": "category",
        "hierarchy": "account_tree",
        "matching": "compare_arrows",
        "coreference": "link",
        "reading": "quiz",
    },
    "nav.data": {
        "documents": "folder_open",
        "jobs": "work",
        "review": "fact_check",
        "explore": "query_stats",
        "schemas": "schema",
        "exports": "ios_share",
    },
    "nav.system": {
        "gpu": "memory",
        "models": "deployed_code",
        "doctor": "health_and_safety",
        "access": "admin_panel_settings",
        "settings": "settings",
    },
}

# The second key of the way to a page: G, then this one. A page without one is reached with the mouse and with Tab.
KEYS = {
    "overview": "o",
    "entities": "e",
    "relations": "r",
    "events": "v",
    "aspects": "a",
    "aspect_sentiment": "t",
    "sentiment": "s",
    "classification": "c",
    "hierarchy": "h",
    "matching": "m",
    "coreference": "p",
    "reading": "q",
    "documents": "d",
    "jobs": "j",
    "review": "w",
    "explore": "x",
    "schemas": "l",
    "exports": "u",
    "gpu": "g",
    "models": "k",
    "access": "z",
    "doctor": "y",
    "settings": ",",
}

ADMIN_PAGES = ("access",)
"""Pages that only administrators find in the menu; what is on them is asked for their role all the same."""
