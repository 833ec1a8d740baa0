/** A Jupyter widget (anywidget): the report in a sandboxed frame, its selection in step with the trait `selection`. */

function render({ model, el }) {
  const frame = document.createElement("iframe");
  frame.setAttribute("sandbox", "allow-scripts allow-downloads");
  frame.title = "Receptive fields";
  frame.style.cssText = "display:block;width:100%;border:1px solid #8888";
  let told = ""; // what frame and model last agreed on: neither is told again what it said itself
  let turn = 0; // how often the frame was told: what it says without having heard the last of it is out of date

  const tell = () => {
    const selection = model.get("selection");
    if (!selection?.layer || JSON.stringify(selection) === told) return;
    told = JSON.stringify(selection);
    turn += 1;
    frame.contentWindow?.postMessage({ isopter: "select", selection, turn }, "*"); // the frame's origin is opaque: it has no name to address
  };

  const hear = ({ source, data }) => {
    if (source !== frame.contentWindow) return;
    if (data?.isopter === "ready") {
      told = "";
      if (model.get("selection")?.layer) return tell();
      turn = 0;
    } else if (data?.isopter !== "selection" || data.turn !== turn) return;
    if (!data.selection) return; // a layer without units
    told = JSON.stringify(data.selection);
    model.set("selection", data.selection);
    model.save_changes();
  };

  const size = () => (frame.style.height = `${model.get("height")}px`);
  const fill = () => (frame.srcdoc = model.get("html"));
  const watched = { "change:selection": tell, "change:height": size, "change:html": fill };
  for (const [name, listener] of Object.entries(watched)) model.on(name, listener);
  addEventListener("message", hear);
  size();
  fill();
  el.append(frame);
  return () => {
    for (const [name, listener] of Object.entries(watched)) model.off(name, listener);
    removeEventListener("message", hear);
    frame.remove();
  };
}

export default { render };
