// Both pictures beside each other, larger; one movement moves both.

const FULL = 1600; // pixels of a picture that is looked at closely

function pairZoom(overlay, book, onClose) {
  let shown = [];
  let look = { scale: 1, x: 0, y: 0 }; // x and y: of the middle, in parts of a pane
  let drag = null;

  const place = () => {
    for (const image of overlay.querySelectorAll(".dhaps-pane img"))
      image.style.transform = `translate(${100 * look.x}%, ${100 * look.y}%) scale(${look.scale})`;
  };
  const scaleBy = (factor, x = 0, y = 0) => {
    const scale = Math.min(16, Math.max(1, look.scale * factor));
    const f = scale / look.scale;
    look = scale === 1 ? { scale, x: 0, y: 0 } : { scale, x: x - (x - look.x) * f, y: y - (y - look.y) * f };
    place();
  };
  const moveBy = (x, y) => {
    look = { ...look, x: look.x + x, y: look.y + y };
    place();
  };
  const inPane = (event) => {
    const pane = event.target.closest(".dhaps-pane") || overlay.querySelector(".dhaps-pane");
    const box = pane.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width - 0.5, (event.clientY - box.top) / box.height - 0.5, box];
  };

  function draw() {
    const panes = shown.map((item) => make("figure", { class: "dhaps-zoomed" },
      make("div", { class: "dhaps-pane" }, picture(book.url(item.key, FULL), item.name)),
      make("figcaption", { class: "dhaps-key", text: item.name })));
    overlay.replaceChildren(make("div", { class: "dhaps-panes" }, ...panes),
      make("div", { class: "dhaps-soft", text: "wheel or + −: closer; drag or arrows: move both; 0: whole; Escape: back" }));
    place();
  }

  function open(items) {
    shown = items.filter((item) => item.pictured);
    if (!shown.length) return;
    look = { scale: 1, x: 0, y: 0 };
    overlay.hidden = false;
    book.want(shown.map((item) => item.key), FULL);
    draw();
  }

  function close() {
    if (!shown.length) return;
    shown = [];
    overlay.hidden = true;
    overlay.replaceChildren();
    book.keep([], FULL);
    onClose();
  }

  // Whether a key moved the pictures; any other key leaves.
  function onKey(name) {
    const moves = {
      "+": () => scaleBy(1.5), "=": () => scaleBy(1.5), "-": () => scaleBy(1 / 1.5), 0: () => scaleBy(1e-9),
      arrowleft: () => moveBy(0.1, 0), arrowright: () => moveBy(-0.1, 0), arrowup: () => moveBy(0, 0.1), arrowdown: () => moveBy(0, -0.1),
    };
    (moves[name] || close)();
  }

  overlay.addEventListener("wheel", (event) => {
    event.preventDefault();
    const [x, y] = inPane(event);
    scaleBy(Math.exp(-event.deltaY / 300), x, y);
  }, { passive: false });
  overlay.addEventListener("pointerdown", (event) => {
    drag = { x: event.clientX, y: event.clientY, moved: false };
    overlay.setPointerCapture(event.pointerId);
  });
  overlay.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const [dx, dy, box] = [event.clientX - drag.x, event.clientY - drag.y, inPane(event)[2]];
    drag = { x: event.clientX, y: event.clientY, moved: drag.moved || Math.hypot(dx, dy) > 2 };
    moveBy(dx / box.width, dy / box.height);
  });
  overlay.addEventListener("pointerup", () => {
    const moved = drag && drag.moved;
    drag = null;
    if (!moved && look.scale === 1) close();
  });
  return { open, close, onKey, draw: () => shown.length && draw(), get shown() { return shown.length > 0; } };
}
