// Shared by every card; Python puts this text before the card's own module.
// Text reaches the page through textContent only, so a file called <script> is just a name.

function make(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "text") node.textContent = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child != null && child !== false));
  return node;
}

// Runs a function as soon as a node is part of the page.
function whenAttached(node, run) {
  const timer = setInterval(() => {
    if (!node.isConnected) return;
    clearInterval(timer);
    run();
  }, 10);
  return () => clearInterval(timer);
}

// Pictures by key and size. Missing ones are asked for in one message; those no longer kept are freed.
function pictureBook(model, onArrival) {
  const urls = new Map(); // "size key" -> object URL, or "" if there is no such picture
  const asked = new Set();
  const name = (key, size) => `${size} ${key}`;
  const arrive = (content, buffers) => {
    if (!content || !content.pictures) return;
    content.pictures.forEach((key, i) => {
      const id = name(key, content.size);
      asked.delete(id);
      if (urls.get(id)) return;
      const data = buffers[i];
      urls.set(id, data && data.byteLength ? URL.createObjectURL(new Blob([data])) : "");
    });
    onArrival();
  };
  model.on("msg:custom", arrive);
  return {
    url: (key, size) => urls.get(name(key, size)),
    want(keys, size) {
      const missing = [...new Set(keys)].filter((key) => !urls.has(name(key, size)) && !asked.has(name(key, size)));
      if (!missing.length) return;
      missing.forEach((key) => asked.add(name(key, size)));
      model.send({ want: missing, size });
    },
    keep(keys, size) {
      const wanted = new Set(keys.map((key) => name(key, size)));
      for (const [id, url] of urls) {
        if (wanted.has(id) || !id.startsWith(`${size} `)) continue;
        if (url) URL.revokeObjectURL(url);
        urls.delete(id);
      }
    },
    close() {
      model.off("msg:custom", arrive);
      urls.forEach((url) => url && URL.revokeObjectURL(url));
      urls.clear();
    },
  };
}

// A picture that keeps its aspect; a missing one says so.
function picture(url, label) {
  if (url === undefined) return make("div", { class: "dhaps-blank" });
  if (url === "") return make("div", { class: "dhaps-blank", text: "this picture is gone, or cannot be read" });
  return make("img", { src: url, alt: label, draggable: "false" });
}

// An item without a picture: its features as bars, in parts of the largest.
function featureBars(profile) {
  // The zero line lies at the bottom if no feature is negative, else in the middle.
  const reach = profile.some((value) => value < 0) ? 50 : 100;
  const bars = profile.map((value) => {
    const bar = make("i", { class: value < 0 ? "dhaps-below" : "dhaps-above" });
    bar.style.height = `${Math.max(1, Math.abs(value) * reach)}%`;
    bar.style.bottom = `${value < 0 ? 50 - Math.abs(value) * 50 : 100 - reach}%`;
    return bar;
  });
  return make("div", { class: "dhaps-bars", "aria-label": "features" }, ...bars);
}
