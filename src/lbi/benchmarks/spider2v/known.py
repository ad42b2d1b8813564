"""What is known of single tasks: what they need that there is not here, by the beginning of their id or counterpart's.

Found by reading their scripts and projects, and by trying them.
"""

from __future__ import annotations

_HACKER_NEWS = "needs network (hacker-news.firebaseio.com)"
_IRIS = "needs network (docs.dagster.io/assets/iris.csv)"
_HOUSING = "needs network (scikit-learn fetches the California housing data)"

NOT_RUNNABLE = {
    "30f3108a": _HOUSING,
    "d4b4bde1": _HOUSING,
    "a6b5475f": "needs network (www.gutenberg.org)",
    "11877023": _IRIS,
    "02b1238f": _IRIS,
    "9f8eab3f": _HACKER_NEWS,
    "5fee7fff": _HACKER_NEWS,
    "22ef9058": _HACKER_NEWS,
    "933b74ab": _HACKER_NEWS,
    "716f8398": "needs network (raw.githubusercontent.com)",
    "cc95a46e": "needs network (api.nasa.gov)",
    "1a57b227": "needs network (the agent has to install dagster from the package index)",
    "215615ac": "needs a MySQL server that root starts",
    "cb82ed0a": "needs root, as its evaluation turns the machine's clock",
}
#: tasks whose own files do not score as they should, found by the sweep: {id: what is wrong}
FAULTY: dict[str, str] = {}
