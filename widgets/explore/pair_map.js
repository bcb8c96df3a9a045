// The map of the chosen pairs: one canvas, points and lines, both of which can be clicked.

const THUMB = 192;
const CLASSES = ["#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1", "#76b7b2", "#d4a72c", "#ff9da7", "#9c755f", "#5b8def"];
const ROUNDS = ["#1b6ca8", "#d1495b", "#2a8a4a", "#b7791f", "#7b4fa3", "#0f8b8d", "#c2578a", "#5b6470"];
const PLAIN = "#9aa4af"; // of points without a class
const KNOWN = ["same", "different", "open"];
const FINE = 4000; // points from which on they are squares of less than two pixels
const NEAR = 8; // pixels between the mouse and what it points at

function render({ model, el }) {
  const card = make("div", { class: "dhaps-card dhaps-map", role: "group", "aria-label": "map of the chosen pairs" });
  const title = make("strong");
  const part = make("span", { class: "dhaps-part" });
  const tools = make("div", { class: "dhaps-tools" });
  const canvas = make("canvas");
  const tip = make("div", { class: "dhaps-tip", hidden: true });
  const side = make("div", { class: "dhaps-side" });
  const legend = make("div", { class: "dhaps-legend" });
  card.append(
    make("div", { class: "dhaps-map-head" }, title, part, tools),
    make("div", { class: "dhaps-stage" }, make("div", { class: "dhaps-field" }, canvas, tip), side),
    legend,
  );
  el.append(card);

  let mode = "round";
  let look = { scale: 1, x: 0, y: 0 };
  let selected = null; // a pair, or a point on its own
  let hovered = -1;
  let drag = null;
  let points = new Float32Array();
  const book = pictureBook(model, () => {
    drawSide();
    drawTip();
  });
  const info = () => model.get("layout_info");
  let size = { width: 0, height: 0 }; // of the canvas, in CSS pixels
  let wheeling = false; // whether the map was clicked since the mouse came over it
  let frame = 0;
  let groups = null; // places of the points of each class, so that a colour is set once

  // --- geometry: the map is in [-1, 1], the canvas in CSS pixels

  const unit = () => (Math.min(size.width, size.height) / 2 - 14) * look.scale;

  function fromMap([x, y]) {
    const u = unit();
    return [size.width / 2 + look.x + x * u, size.height / 2 + look.y - y * u];
  }

  const toScreen = (i) => fromMap([points[2 * i], points[2 * i + 1]]);

  function toMap([x, y]) {
    const u = unit();
    return [(x - size.width / 2 - look.x) / u, -(y - size.height / 2 - look.y) / u];
  }

  const lasso = lassoTool(model, { points: () => points, toMap, fromMap, toScreen, redraw: () => draw(), ink: (name) => ink(name) });

  function nearestPoint(x, y) {
    const u = unit();
    const [mx, my] = toMap([x, y]);
    let best = -1;
    let least = (NEAR / u) ** 2;
    for (let i = 0; i < points.length / 2; i++) {
      const d = (points[2 * i] - mx) ** 2 + (points[2 * i + 1] - my) ** 2;
      if (d < least) {
        best = i;
        least = d;
      }
    }
    return best;
  }

  function nearestPair(x, y) {
    let best = null;
    let least = NEAR;
    for (const pair of model.get("pairs")) {
      const [[ax, ay], [bx, by]] = pair.points.map(toScreen);
      const length = (bx - ax) ** 2 + (by - ay) ** 2 || 1;
      const t = Math.max(0, Math.min(1, ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length));
      const d = Math.hypot(ax + t * (bx - ax) - x, ay + t * (by - ay) - y);
      if (d < least) [best, least] = [pair, d];
    }
    return best;
  }

  // --- drawing

  // Colours of the theme, and on a dark one lighter ones of the rest.
  const dark = () => document.body.dataset.jpThemeLight === "false";
  const shade = (colour) => (dark() ? `color-mix(in srgb, ${colour} 70%, white)` : colour);
  const ink = (name) => getComputedStyle(card).getPropertyValue(name).trim();
  const knownColour = (known) => ink({ same: "--good", different: "--ink", open: "--soft" }[known]);
  const roundColour = (round) => shade(ROUNDS[(round - 1) % ROUNDS.length]);
  const colourOf = (pair) => (mode === "round" ? roundColour(pair.round) : knownColour(pair.known));

  function draw() {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(drawNow);
  }

  function pointGroups() {
    if (groups) return groups;
    const { labels } = info();
    const coloured = mode === "label" && labels && labels.length;
    groups = new Map();
    for (let i = 0; i < points.length / 2; i++) {
      const colour = coloured ? CLASSES[labels[i] % CLASSES.length] : PLAIN;
      if (!groups.has(colour)) groups.set(colour, []);
      groups.get(colour).push(i);
    }
    return groups;
  }

  // Squares, one colour after another, and only those in sight: 50,000 of them move with the mouse.
  function drawPoints(pen) {
    const u = unit();
    const [cx, cy] = [size.width / 2 + look.x, size.height / 2 + look.y];
    const side = points.length / 2 > FINE ? 2 : 4.2;
    pen.globalAlpha = groups.size > 1 ? 0.75 : 0.45;
    for (const [colour, members] of groups) {
      pen.fillStyle = shade(colour);
      for (const i of members) {
        const x = cx + points[2 * i] * u;
        const y = cy - points[2 * i + 1] * u;
        if (x > -4 && y > -4 && x < size.width + 4 && y < size.height + 4) pen.fillRect(x - side / 2, y - side / 2, side, side);
      }
    }
  }

  function drawNow() {
    const { width, height } = canvas.getBoundingClientRect();
    if (!width) return;
    size = { width, height };
    const ratio = window.devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
    if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    pointGroups();
    drawPoints(pen);
    pen.globalAlpha = 1;
    for (const pair of model.get("pairs")) {
      const chosen = selected && selected.keys === pair.keys;
      const [[ax, ay], [bx, by]] = pair.points.map(toScreen);
      pen.strokeStyle = pen.fillStyle = colourOf(pair);
      pen.lineWidth = chosen ? 4 : 1.6;
      pen.setLineDash(pair.known === "open" ? [5, 4] : []);
      pen.beginPath();
      pen.moveTo(ax, ay);
      pen.lineTo(bx, by);
      pen.stroke();
      for (const [x, y] of [[ax, ay], [bx, by]]) {
        pen.beginPath();
        pen.arc(x, y, chosen ? 6 : 4, 0, 7);
        pen.fill();
      }
    }
    lasso.paint(pen);
    card.dataset.ready = points.length ? "1" : "";
  }

  function drawHead() {
    title.textContent = model.get("note") || `t-SNE of the ${info().title || "codes"}`;
    part.textContent = info().part || "";
    const choice = (name, label) =>
      make("button", { type: "button", class: "dhaps-button", "aria-pressed": String(mode === name), text: label,
        onclick: () => { mode = name; groups = null; drawAll(); } });
    const zoomBy = (factor) => () => { look = { scale: look.scale * factor, x: look.x * factor, y: look.y * factor }; draw(); };
    const tool = (label, name, act) => make("button", { type: "button", class: "dhaps-button", "aria-label": name, title: name, text: label, onclick: act });
    tools.replaceChildren(
      ...(model.get("selects") ? [lasso.button()] : []),
      choice("round", "by round"), choice("label", "by label and answer"),
      tool("+", "zoom in", zoomBy(1.5)), tool("−", "zoom out", zoomBy(1 / 1.5)),
      tool("reset", "whole map", () => { look = { scale: 1, x: 0, y: 0 }; draw(); }),
    );
    const entry = (colour, text) => {
      const dot = make("i");
      dot.style.background = colour;
      return make("span", {}, dot, text);
    };
    const rounds = [...new Set(model.get("pairs").map((pair) => pair.round))];
    const names = info().labels && info().labels.length ? info().class_names.slice(0, CLASSES.length) : [];
    legend.replaceChildren(...(mode === "round"
      ? rounds.map((round) => entry(roundColour(round), `chosen in round ${round}`))
      : [...KNOWN.map((name) => entry(knownColour(name), `pair: ${name}`)), ...names.map((name, i) => entry(shade(CLASSES[i]), name))]));
  }

  function drawSide() {
    if (!selected) {
      const hint = "Click a line or a point to see the pair. Dashed lines are not answered. Drag to move; after a click the wheel zooms."
        + (model.get("selects") ? " Shift and drag: a lasso, to name many at once." : "");
      return side.replaceChildren(make("p", { class: "dhaps-part", text: hint }));
    }
    const { pictured } = info();
    if (pictured) book.want(selected.keys, THUMB);
    const figures = selected.keys.map((key, at) => {
      const name = info().names[selected.points[at]];
      return make("figure", {}, pictured && make("div", { class: "dhaps-picture" }, picture(book.url(key, THUMB), name)),
        make("figcaption", { class: "dhaps-key", text: name, title: name }));
    });
    const told = selected.round
      ? [make("div", { class: "dhaps-told", text: `round ${selected.round}: ${selected.known}` }),
         make("div", { text: `${selected.distance} of ${info().bits} bits apart` })]
      : [make("div", { text: "not in a chosen pair" })];
    side.replaceChildren(...figures, ...told);
  }

  function drawTip(x, y) {
    tip.hidden = hovered < 0 || drag !== null;
    if (tip.hidden) return;
    const [key, name] = [info().keys[hovered], info().names[hovered]];
    if (info().pictured) book.want([key], THUMB);
    tip.replaceChildren(...[info().pictured && picture(book.url(key, THUMB), name), make("div", { class: "dhaps-key", text: name })].filter(Boolean));
    const [px, py] = toScreen(hovered);
    const { width } = size;
    tip.style.left = `${px > width - 130 ? px - 120 : px + 12}px`;
    tip.style.top = `${Math.max(0, py - 60)}px`;
  }

  function drawAll() {
    drawHead();
    draw();
    drawSide();
  }

  // --- the mouse

  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  canvas.addEventListener("pointerdown", (event) => {
    wheeling = true;
    if (!lasso.begin(event, at(event))) drag = { from: at(event), look: { ...look }, moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = at(event);
    if (lasso.drawing) return lasso.move([x, y]);
    if (drag) {
      const [dx, dy] = [x - drag.from[0], y - drag.from[1]];
      drag.moved = drag.moved || Math.hypot(dx, dy) > 3;
      if (drag.moved) {
        look = { scale: drag.look.scale, x: drag.look.x + dx, y: drag.look.y + dy };
        draw();
      }
      return;
    }
    const found = nearestPoint(x, y);
    if (found !== hovered) {
      hovered = found;
      drawTip();
    }
  });
  canvas.addEventListener("pointerup", (event) => {
    if (lasso.drawing) return lasso.end();
    const moved = drag && drag.moved;
    drag = null;
    if (moved) return;
    const [x, y] = at(event);
    const point = nearestPoint(x, y);
    const owner = model.get("pairs").find((pair) => point >= 0 && pair.points.includes(point));
    selected = owner || nearestPair(x, y) || (point >= 0 ? { keys: [info().keys[point]], points: [point] } : null);
    draw();
    drawSide();
  });
  canvas.addEventListener("pointerleave", () => {
    wheeling = false;
    hovered = -1;
    drawTip();
  });
  // The wheel scrolls the notebook until the map was clicked.
  canvas.addEventListener("wheel", (event) => {
    if (!wheeling && !event.ctrlKey) return;
    event.preventDefault();
    const { width, height } = size;
    const [x, y] = at(event);
    const factor = Math.exp(-event.deltaY / 400);
    const [cx, cy] = [x - width / 2, y - height / 2];
    look = { scale: look.scale * factor, x: cx - (cx - look.x) * factor, y: cy - (cy - look.y) * factor };
    draw();
  }, { passive: false });

  const newPoints = () => {
    const bytes = model.get("points");
    points = bytes && bytes.byteLength ? new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)) : new Float32Array();
    selected = null;
    lasso.drop();
    hovered = -1;
    groups = null;
    drawAll();
  };
  const newInfo = () => {
    groups = null;
    drawAll();
  };
  const theme = new MutationObserver(() => setTimeout(drawAll, 100)); // when its style sheet is there
  theme.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-name", "data-jp-theme-light"] });
  const newPairs = () => {
    // The same pair may have an answer now.
    if (selected && selected.round) selected = model.get("pairs").find((pair) => pair.keys.join("\n") === selected.keys.join("\n")) || null;
    drawAll();
  };
  const unshield = shieldAlone(card);
  const resize = new ResizeObserver(draw);
  resize.observe(canvas);
  const followed = { points: newPoints, layout_info: newInfo, pairs: newPairs, note: drawHead, marked: draw };
  for (const [name, follow] of Object.entries(followed)) model.on(`change:${name}`, follow);
  newPoints();
  return () => {
    unshield();
    resize.disconnect();
    theme.disconnect();
    cancelAnimationFrame(frame);
    book.close();
    for (const [name, follow] of Object.entries(followed)) model.off(`change:${name}`, follow);
  };
}

export default { render };
