// A lasso on the map: the items whose points lie within a line drawn around them are sent to be named together.

// Places of the points, by the even-odd rule; line: [[x, y], ...] in the coordinates of the points.
function within(line, points) {
  const found = [];
  const [xs, ys] = [line.map((one) => one[0]), line.map((one) => one[1])];
  const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  for (let i = 0; i < points.length / 2; i++) {
    const [x, y] = [points[2 * i], points[2 * i + 1]];
    if (x < left || x > right || y < low || y > high) continue;
    let inside = false;
    for (let a = 0, b = xs.length - 1; a < xs.length; b = a++) {
      if (ys[a] > y !== ys[b] > y && x < xs[a] + ((y - ys[a]) / (ys[b] - ys[a])) * (xs[b] - xs[a])) inside = !inside;
    }
    if (inside) found.push(i);
  }
  return found;
}

// The tool. map: its points(), and the ways between places on it and on the screen.
function lassoTool(model, map) {
  let line = null; // that is being drawn, in the coordinates of the points
  let held = false; // whether a drag draws one without Shift

  function button() {
    const node = make("button", { type: "button", class: "dhaps-button", "aria-pressed": String(held), text: "lasso",
      title: "drag around points to name them together; Shift and drag does it, too",
      onclick: () => { held = !held; node.setAttribute("aria-pressed", String(held)); } });
    return node;
  }

  // Whether a press begins a lasso.
  function begin(event, place) {
    if (!model.get("selects") || !(event.shiftKey || held)) return false;
    line = [map.toMap(place)];
    return true;
  }

  function move(place) {
    line.push(map.toMap(place));
    map.redraw();
  }

  function end() {
    const found = within(line, map.points());
    line = null;
    map.redraw();
    if (found.length) model.send({ gather: found.map((i) => model.get("layout_info").keys[i]) });
  }

  // What is open to be named, and the line.
  function paint(pen) {
    pen.fillStyle = pen.strokeStyle = map.ink("--brand");
    for (const i of model.get("marked")) {
      const [x, y] = map.toScreen(i);
      pen.fillRect(x - 3, y - 3, 6, 6);
    }
    if (!line) return;
    pen.setLineDash([4, 3]);
    pen.lineWidth = 1.6;
    pen.beginPath();
    for (const place of line) pen.lineTo(...map.fromMap(place));
    pen.closePath();
    pen.stroke();
  }

  const drop = () => { line = null; };
  return { button, begin, move, end, paint, drop, get drawing() { return line !== null; } };
}
