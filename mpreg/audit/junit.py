"""Writes limits as a JUnit file, one test for each limit."""

import datetime
import re
from xml.etree import ElementTree

from mpreg._text import visible_text
from mpreg.reports import words

SUITE = "mpreg audit"
NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_text(document, *, seconds=0.0):
    """Returns the gates of an audit as JUnit XML, in the form that pytest writes.

    Args:
        document: the document of an `Audit`, as `to_dict()` gives it, or that.
        seconds: that the audit took.

    Returns:
        Text of a file: one `testcase` for each limit, with a `failure` where the figure is above it.

    Example:
    ```python
    Path("privacy.xml").write_text(junit_text(audit), "utf-8")
    ```
    """
    document = document.to_dict() if hasattr(document, "to_dict") else document
    gates = document["gates"]
    counts = {
        "tests": len(gates),
        "failures": sum(gate["failed"] for gate in gates),
        "errors": 0,
        "skipped": 0,
        "time": f"{seconds:.3f}",
    }
    root = _part(None, "testsuites", name=SUITE, **counts)
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    suite = _part(root, "testsuite", name=SUITE, **counts, timestamp=now)
    for gate in gates:
        name = f"{gate['figure']} at most {gate['limit']:g}"
        case = _part(
            suite, "testcase", classname="mpreg.audit", name=name, time=f"{seconds / len(gates):.3f}"
        )
        properties = _part(case, "properties")
        for told in ("value", "low", "limit", "attack", "of"):
            if gate[told] is not None:
                _part(properties, "property", name=told, value=gate[told])
        said = f"{gate['figure']} {words.measured(gate)}, limit {gate['limit']:g}: {words.verdict(gate)}"
        if gate["failed"]:
            _part(case, "failure", message=said, type="above the limit").text = _xml(document["headline"])
        else:
            _part(case, "system-out").text = _xml(said)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _part(parent, tag, **attributes):
    attributes = {name: _xml(value) for name, value in attributes.items()}
    return (
        ElementTree.Element(tag, attributes)
        if parent is None
        else ElementTree.SubElement(parent, tag, attributes)
    )


def _xml(value):
    """Text without characters that XML cannot hold: names of attacks come from anyone."""
    return NOT_XML.sub("\ufffd", visible_text(value))
