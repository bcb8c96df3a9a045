// The sheet of many items: thumbnails in pages, a class, one key. The kernel decides; the sheet shows its view.

const THUMB = 96;

function render({ model, el }) {
  const sheet = make("div", { class: "dhaps-many", role: "group", "aria-label": "items to be named together", hidden: true });
  const head = make("div", { class: "dhaps-many-bar" });
  const grid = make("div", { class: "dhaps-many-grid" });
  const choosing = make("div");
  const foot = make("div", { class: "dhaps-many-bar" });
  const note = make("div", { class: "dhaps-note", role: "status" });
  sheet.append(head, grid, choosing, foot, note);
  el.append(sheet);
  const view = () => model.get("view");
  const send = (message) => model.send({ ...message, lot: view().lot });
  const book = pictureBook(model, () => paintGrid());
  const picked = new Set(); // classes ticked, as the kernel last said
  let host = null; // the cockpit
  let chooser = ""; // what the choice of the class was made of: it stays while somebody types in it
  let saw = new Set(); // items of this lot that the kernel knows were on the screen
  let lot = null;
  const focus = () => host && host.focus({ preventScroll: true });

  // An item was seen when most of its tile is in sight and its picture is there.
  const sight = new IntersectionObserver((entries) => {
    const now = view().items;
    const readable = entries.filter((one) => one.isIntersecting && (one.target.querySelector("img, .dhaps-bars")));
    const keys = readable.map((one) => now[Number(one.target.dataset.at)]?.key).filter((key) => key && !saw.has(key));
    if (!keys.length) return;
    keys.forEach((key) => saw.add(key));
    send({ do: "saw", keys });
  }, { threshold: 0.6 });

  function button(label, letter, name, act) {
    return make("button", { type: "button", class: `dhaps-button dhaps-${name}`, onclick: act }, make("bdi", { text: label }), letter ? key(letter) : null);
  }

  function tile(item, at) {
    const content = item.pictured ? picture(book.url(item.key, THUMB), item.name) : featureBars(item.profile);
    return make("figure", { class: "dhaps-many-one", "data-state": item.state, "data-at": at, title: item.said || item.name,
      onclick: () => send({ do: "toggle", key: item.key }) },
      make("div", { class: "dhaps-many-picture" }, content),
      make("figcaption", {}, make("bdi", { text: item.said || item.name })));
  }

  async function paintGrid() {
    const now = view();
    sight.disconnect();
    const tiles = now.items.map(tile);
    grid.replaceChildren(...tiles);
    await Promise.all([...grid.querySelectorAll("img")].map((image) => image.decode().catch(() => null)));
    tiles.filter((one) => one.isConnected && one.querySelector("img, .dhaps-bars")).forEach((one) => sight.observe(one));
  }

  function paintChoice() {
    const now = view();
    const made = JSON.stringify([now.lot, now.classes, now.value]);
    if (made === chooser) return;
    chooser = made;
    picked.clear();
    now.value.forEach((name) => picked.add(name));
    const { list, field } = classChooser({ classes: now.classes, several: now.several, picked, choose, leave: focus, button });
    choosing.replaceChildren(list, make("div", { class: "dhaps-buttons" }, field));
  }

  function choose(name) {
    if (!view().several) return send({ do: "choose", value: name });
    picked.has(name) ? picked.delete(name) : picked.add(name);
    if (picked.size) send({ do: "choose", value: [...picked] });
  }

  const turn = (by) => send({ do: "page", page: view().page + by });
  const confirm = () => send({ do: "confirm" });
  const close = () => send({ do: "close" });

  function paint() {
    const now = view();
    sheet.hidden = !now.gathered;
    if (now.lot !== lot) {
      lot = now.lot;
      saw = new Set();
      if (now.gathered) focus();
    }
    if (!now.gathered) {
      sight.disconnect();
      grid.replaceChildren();
      return book.keep([], THUMB);
    }
    const pictured = now.items.filter((item) => item.pictured).map((item) => item.key);
    book.keep(pictured, THUMB);
    book.want(pictured, THUMB);
    const left = make("button", { type: "button", class: "dhaps-button", "aria-label": "page before", disabled: now.page === 0, onclick: () => turn(-1) }, "←");
    const right = make("button", { type: "button", class: "dhaps-button", "aria-label": "next page", disabled: now.page + 1 >= now.pages, onclick: () => turn(1) }, "→");
    head.replaceChildren(make("strong", { text: `${now.gathered} item${now.gathered === 1 ? "" : "s"} selected` }),
      make("span", { class: "dhaps-soft", text: "a click leaves one out" }),
      ...(now.pages > 1 ? [make("span", { class: "dhaps-many-pages" }, left, ` page ${now.page + 1} of ${now.pages} `, right)] : []));
    paintGrid();
    paintChoice();
    const name = now.value.join(", ");
    const go = button(name ? `Name ${now.counting} of them ${name}` : "Choose a class", "enter", "many-go", confirm);
    go.disabled = !name || !now.counting;
    const out = [now.apart && `of another class and left out: ${now.apart}`, now.unseen && `not shown yet and left out: ${now.unseen}`].filter(Boolean);
    foot.replaceChildren(go, button("Leave", "esc", "many-leave", close), make("span", { class: "dhaps-soft", text: out.join("; ") }));
    note.textContent = now.note;
  }

  function onKey(pressed) {
    const moves = { escape: close, enter: confirm, arrowleft: () => turn(-1), arrowright: () => turn(1), pageup: () => turn(-1), pagedown: () => turn(1) };
    if (moves[pressed]) return moves[pressed](), true;
    if (pressed === "f") return choosing.querySelector(".dhaps-search").focus(), true;
    const one = view().classes.find((known) => known.key === pressed);
    if (one) choose(one.name);
    return Boolean(one);
  }

  // Before the card hears of it: while the sheet is open, the keys are the sheet's.
  const keydown = (event) => {
    if (sheet.hidden || elsewhere(event) || inControl(event)) return;
    event.stopPropagation();
    if (event.repeat) event.preventDefault();
    else if (onKey(keyName(event))) event.preventDefault();
  };
  const detach = whenAttached(el, () => {
    host = el.closest(".dhaps-cockpit");
    host.addEventListener("keydown", keydown, true);
  });
  model.on("change:view", paint);
  paint();
  return () => {
    detach();
    sight.disconnect();
    book.close();
    if (host) host.removeEventListener("keydown", keydown, true);
    model.off("change:view", paint);
  };
}

export default { render };
