"""The widget and the notebook frame in a browser: the sandbox holds, and the selection goes both ways."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from driver import Opened, listening, ready

import isopter as ip
from isopter.report.page.document import asset

pytest.importorskip("anywidget")

NET = "conv 3 p1, pool 2, conv 3 p1, conv 3 s2 p1"

HOST = """<!doctype html><meta charset="utf-8"><title>host</title><body><script>
class Model {
  constructor(state) { Object.assign(this, {state, saved: [], listeners: {}}); }
  get(name) { return this.state[name]; }
  set(name, value) {
    if (JSON.stringify(this.state[name]) === JSON.stringify(value)) return;
    this.state[name] = value;
    (this.listeners[`change:${name}`] ?? []).forEach((listener) => listener());
  }
  save_changes() { this.saved.push(JSON.parse(JSON.stringify(this.state.selection))); }
  on(event, listener) { (this.listeners[event] ??= []).push(listener); }
  off(event, listener) { this.listeners[event] = this.listeners[event].filter((l) => l !== listener); }
}
window.models = [];
window.hearing = new Set();
const [add, remove] = [window.addEventListener, window.removeEventListener];
window.addEventListener = (name, ...rest) => { if (name === "message") hearing.add(rest[0]); add.call(window, name, ...rest); };
window.removeEventListener = (name, ...rest) => { hearing.delete(rest[0]); remove.call(window, name, ...rest); };
window.before = (listener) => {
  const all = [...hearing];
  all.forEach((one) => removeEventListener("message", one));
  [listener, ...all].forEach((one) => addEventListener("message", one));
};
window.put = async (esm, states) => {
  const { default: widget } = await import(URL.createObjectURL(new Blob([esm], {type: "text/javascript"})));
  for (const state of states) {
    const el = document.body.appendChild(document.createElement("div"));
    const model = new Model(state);
    models.push({model, el, widget, gone: widget.render({model, el})});
  }
};
</script>"""
"""A notebook as far as the widget knows one: models that hold traits, and the module put into a page."""

Put = Callable[..., "list[Opened]"]


def widget_of(text: str = NET, **options: Any) -> Any:
    return ip.analyze(text, (1, 1, 24, 24)).widget(height=700, **options)


@pytest.fixture
def host(browser: Any) -> Iterator[Put]:
    """``host(widget, ...)`` shows widgets on one page and gives the report in each."""
    context = browser.new_context(offline=True, viewport={"width": 1300, "height": 900})
    page, faults = listening(context)
    page.set_content(HOST)

    def put(*widgets: Any) -> list[Opened]:
        states = [{"html": w.html, "height": w.height, "selection": w.selection} for w in widgets]
        page.evaluate("([esm, states]) => put(esm, states)", [asset("widget.js"), states])
        return reports(page, faults)

    yield put
    context.close()
    assert not faults, faults


def reports(page: Any, faults: list[str]) -> list[Opened]:
    """The reports in the frames of a page, when they have drawn themselves."""
    found = [Opened(page, element.content_frame(), faults) for element in page.query_selector_all("iframe")]
    for report in found:
        ready(report)
    return found


def trait(report: Opened, index: int = 0) -> Any:
    """What the widget's model holds as its selection."""
    return report.page.evaluate("(k) => models[k].model.get('selection')", index)


def until(report: Opened, check: Callable[[], bool]) -> None:
    """Wait until messages have come through and been drawn."""
    report.until(check, lambda: f"{trait(report)} in the widget, {report.layer()} {report.unit()} in the page")


LISTEN = """() => {
    window.last = new Promise((done) => {
        const hear = ({data}) => { if (data === "last") { removeEventListener("message", hear); done(); } };
        addEventListener("message", hear);
    });
}"""


def come_through(report: Opened) -> None:
    """Wait until all that page and report said to each other is heard, answered and drawn: messages come in the order they are sent."""
    frame = report.frame.frame_element()
    for _ in range(2):
        report.run(LISTEN)
        frame.evaluate("(frame) => frame.contentWindow.postMessage('last', '*')")
        report.run("() => window.last")
        report.settle()
        report.page.evaluate(LISTEN)
        report.run("() => parent.postMessage('last', '*')")
        report.page.evaluate("() => window.last")


def select(report: Opened, selection: dict[str, Any], index: int = 0) -> None:
    """Set the trait, as the kernel does."""
    report.page.evaluate("([k, s]) => models[k].model.set('selection', s)", [index, selection])
    come_through(report)


def test_selection_goes_both_ways(host: Put) -> None:
    (report,) = host(widget_of())
    assert trait(report) == {"layer": "conv3", "unit": [3, 3]}, "the page says where it begins"
    report.choose("conv1")
    until(report, lambda: trait(report)["layer"] == "conv1")
    select(report, {"layer": "conv2", "unit": [2, 11]})
    until(report, lambda: (report.layer(), report.unit()) == ("conv2", (2, 11)))
    saved = report.page.evaluate("() => models[0].model.saved.length")
    select(report, {"layer": "conv2", "unit": [3, 11]})
    assert report.page.evaluate("() => models[0].model.saved.length") == saved, "what Python set is not sent back to it"
    report.drag_to((5, 7), (12, 12))
    until(report, lambda: trait(report) == {"layer": "conv2", "unit": [5, 7]})
    assert report.page.evaluate("() => models[0].model.saved.at(-1)") == {"layer": "conv2", "unit": [5, 7]}


def test_the_page_is_not_told_what_it_said(host: Put) -> None:
    """Else a reader who drags fast would be thrown back to where the last message came from."""
    (report,) = host(widget_of())
    report.run("() => { window.told = []; addEventListener('message', ({data}) => data === 'last' || told.push(data)); }")
    report.choose("conv1")
    report.drag_to((5, 7), (24, 24))
    until(report, lambda: trait(report) == {"layer": "conv1", "unit": [5, 7]})
    come_through(report)
    assert report.run("() => told") == []
    select(report, {"layer": "conv2", "unit": [1, 1]})
    until(report, lambda: report.layer() == "conv2")
    assert report.run("() => told.length") == 1


def test_what_python_selected_first_is_shown(host: Put) -> None:
    widget = widget_of()
    widget.selection = {"layer": "conv1", "unit": [0, 20]}
    (report,) = host(widget)
    until(report, lambda: (report.layer(), report.unit()) == ("conv1", (0, 20)))
    assert trait(report) == {"layer": "conv1", "unit": [0, 20]}


NONSENSE = [
    {"layer": "none", "unit": [0, 0]}, {"layer": "conv1", "unit": [0]}, {"layer": "conv1", "unit": [0, 24]}, {"layer": 7},
    {"layer": "conv1", "unit": [-1, 0]}, {"layer": "conv1", "unit": [0.5, 0]}, {"layer": "conv1", "unit": "00"}, {"layer": "conv1"},
    {"layer": "conv1", "unit": [0, 0], "model": 1}, {"layer": "conv1", "unit": [0, 0], "model": -1}, {"layer": "__proto__", "unit": []},
    {"layer": ["conv1"], "unit": [0, 0]},
]  # fmt: skip


def test_nonsense_is_ignored(host: Put) -> None:
    (report,) = host(widget_of())
    for wrong in NONSENSE:
        select(report, wrong)
        assert (report.layer(), report.unit()) == ("conv3", (3, 3)), wrong
    select(report, {"layer": "conv1", "unit": [1, 2]})
    until(report, lambda: (report.layer(), report.unit()) == ("conv1", (1, 2)))


def test_only_the_parent_is_followed(host: Put) -> None:
    """A message from the frame itself, or from a frame beside it, selects nothing."""
    first, second = host(widget_of(), widget_of())
    say = "(target) => target.postMessage({isopter: 'select', selection: {layer: 'conv1', unit: [0, 0]}}, '*')"
    first.run(LISTEN)
    second.run(LISTEN)
    first.run(f"() => ({say})(window)")
    first.run(f"() => ({say})(parent.frames[1])")
    first.run("() => [window, parent.frames[1]].forEach((target) => target.postMessage('last', '*'))")
    first.run("() => window.last")
    second.run("() => window.last")
    first.run("() => parent.postMessage({isopter: 'other', selection: {layer: 'conv1', unit: [0, 0]}}, '*')")
    first.run("() => parent.postMessage(null, '*')")
    come_through(first)
    come_through(second)
    assert first.layer() == second.layer() == "conv3"
    assert trait(first, 0) == trait(first, 1) == {"layer": "conv3", "unit": [3, 3]}


def test_what_python_selects_while_the_reader_does_holds_for_both(host: Put) -> None:
    """Two messages that cross: trait and page must not end up with each other's selection."""
    (report,) = host(widget_of())
    come_through(report)
    report.page.evaluate("""() => {
        const {model, el} = models[0], set = model.set.bind(model);
        before(({source, data}) => { // the widget hears what the reader did
            if (source !== el.querySelector("iframe").contentWindow || data.isopter !== "selection" || window.crossed) return;
            window.crossed = true;
            set("selection", {layer: "conv2", unit: [2, 11]});
        });
    }""")
    report.choose("conv1")
    until(report, lambda: report.page.evaluate("() => window.crossed"))
    come_through(report)
    assert trait(report) == {"layer": report.layer(), "unit": list(report.unit())} == {"layer": "conv2", "unit": [2, 11]}
    report.choose("conv1")
    until(report, lambda: trait(report)["layer"] == "conv1")


def test_readers_of_two_views_at_the_same_moment(host: Put) -> None:
    """One of them wins, in both views and in the trait."""
    (report,) = host(widget_of())
    report.page.evaluate("() => { const {model, widget} = models[0]; widget.render({model, el: document.body}); }")
    one, other = reports(report.page, report.faults)
    come_through(one)
    come_through(other)
    one.page.evaluate("""() => {
        const kept = [], frames = [...document.querySelectorAll("iframe")].map((frame) => frame.contentWindow);
        before((event) => { // what is said is held back until both have spoken
            const {data, source} = event;
            if (data?.isopter !== "selection" || !event.isTrusted || window.both) return;
            event.stopImmediatePropagation();
            kept.push({data, source});
            if (new Set(kept.map((k) => k.source)).size < 2) return;
            window.both = true;
            kept.forEach((k) => window.dispatchEvent(new MessageEvent("message", k)));
        });
    }""")
    one.choose("conv1")
    other.choose("conv2")
    until(one, lambda: one.page.evaluate("() => window.both"))
    for _ in range(2):
        come_through(one)
        come_through(other)
    assert one.layer() == other.layer() == trait(one)["layer"]


def test_two_widgets_are_two(host: Put) -> None:
    first, second = host(widget_of(), widget_of("conv 5 p2, conv 3 p1"))
    select(first, {"layer": "conv1", "unit": [4, 5]}, 0)
    until(first, lambda: (first.layer(), first.unit()) == ("conv1", (4, 5)))
    assert (second.layer(), second.unit()) == ("conv2", (12, 12))
    second.choose("conv1")
    until(second, lambda: trait(second, 1) == {"layer": "conv1", "unit": [12, 12]})
    assert (first.layer(), first.unit()) == ("conv1", (4, 5))
    assert trait(first, 0) == {"layer": "conv1", "unit": [4, 5]}


def test_two_views_of_one_widget_agree(host: Put) -> None:
    (report,) = host(widget_of())
    report.page.evaluate("() => { const {model, widget} = models[0]; widget.render({model, el: document.body}); }")
    one, other = reports(report.page, report.faults)
    one.choose("conv2")
    until(other, lambda: one.layer() == other.layer() == "conv2")
    saved = one.page.evaluate("() => models[0].model.saved.length")
    for _ in range(3):
        come_through(one)
        come_through(other)
    assert one.page.evaluate("() => models[0].model.saved.length") == saved, "two views must not tell each other for ever"


def test_comparison(host: Put) -> None:
    """Which model is part of the selection, where it is not the first."""
    (report,) = host(widget_of(compare=ip.analyze("conv 7 p3, conv 3", (1, 1, 24, 24))))
    select(report, {"layer": "conv2", "unit": [21, 0], "model": 1})
    until(report, lambda: (report.layer(), report.unit()) == ("conv2", (21, 0)))
    assert re.findall(r"\d+", report.numbers()["size"]) == ["9", "9"]
    report.choose("conv1")
    until(report, lambda: trait(report)["layer"] == "conv1")
    assert trait(report)["model"] == 1
    report.at("#header select").first.select_option("0")
    until(report, lambda: "model" not in trait(report))


def test_height_and_leaving(host: Put) -> None:
    (report,) = host(widget_of())
    page = report.page
    assert page.evaluate("() => document.querySelector('iframe').clientHeight") == 700
    page.evaluate("() => models[0].model.set('height', 500)")
    assert page.evaluate("() => document.querySelector('iframe').clientHeight") == 500
    assert page.evaluate("() => hearing.size") == 1
    page.evaluate("() => models[0].gone()")
    assert page.evaluate("() => hearing.size") == 0
    assert page.evaluate("() => document.querySelectorAll('iframe').length") == 0
    assert page.evaluate("() => Object.values(models[0].model.listeners).map((all) => all.length)") == [0, 0, 0]


def test_the_sandbox_holds(host: Put) -> None:
    """The page runs, but cannot read what is around it."""
    (report,) = host(widget_of())
    assert report.page.query_selector("iframe").get_attribute("sandbox") == "allow-scripts allow-downloads"
    blocked = "() => { try { return parent.document.title; } catch (error) { return error.name; } }"
    assert report.run(blocked) == "SecurityError"
    assert report.run("() => origin") == "null"


def test_frame_of_a_notebook(browser: Any) -> None:
    """`show` needs no widget: its markup is the whole report, escaped, and asks for nothing."""
    name = '"><img src=x onerror=alert(1)></iframe><script>document.title="broken"</script>&amp;'
    analysis = ip.analyze(NET, (1, 1, 24, 24))
    analysis.name = name
    markup = analysis.show(height=640)._repr_html_()
    context = browser.new_context(offline=True, viewport={"width": 1300, "height": 900})
    page, faults = listening(context)
    page.set_content(f"<!doctype html><title>notebook</title><body>{markup}<p id=after>after</p>")
    (report,) = reports(page, faults)
    assert page.title() == "notebook" and page.locator("#after").count() == 1 and page.locator("img").count() == 0
    assert report.run("() => document.title") == f"Receptive fields of {name}"
    assert report.layer() == "conv3" and page.evaluate("() => document.querySelector('iframe').clientHeight") == 640
    assert report.run("() => { try { return parent.document.title; } catch (error) { return error.name; } }") == "SecurityError"
    report.choose("conv1")
    report.drag_to((20, 3), (24, 24))
    assert report.unit() == (20, 3)
    context.close()
    assert not faults, faults


def test_a_file_on_its_own_says_nothing(browser: Any, tmp_path: Any) -> None:
    """Out of a frame the page posts no message, and follows none."""
    file = ip.analyze(NET, (1, 1, 24, 24)).save_html(tmp_path / "report.html")
    context = browser.new_context(offline=True)
    page, faults = listening(context)
    page.add_init_script("window.heard = []; addEventListener('message', ({data}) => data === 'last' || heard.push(data));")
    page.goto(file.as_uri())
    report = Opened(page, page.main_frame, faults)
    ready(report)
    page.evaluate(f"() => postMessage({json.dumps({'isopter': 'select', 'selection': {'layer': 'conv1', 'unit': [0, 0]}})}, '*')")
    page.evaluate(LISTEN)
    page.evaluate("() => postMessage('last', '*')")
    page.evaluate("() => window.last")
    report.settle()
    assert report.layer() == "conv3" and len(page.evaluate("() => heard")) == 1
    context.close()
    assert not faults, faults
