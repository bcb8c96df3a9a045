// The classes of an item: chips with keys, the likeliest first, and a search with the arrow keys.
// A chip is never chosen beforehand: likely is an order and a number, the answer is the person's.

const key = (text) => make("kbd", { text: text.toUpperCase() });
const SHOWN = 60; // chips at once; the search finds the others

function classChooser({ classes, several, picked, choose, leave, button }) {
  const list = make("div", { class: "dhaps-classes", role: "listbox", "aria-label": "classes" });
  const search = make("input", { class: "dhaps-search", type: "text", placeholder: "find or name a class", "aria-label": "find a class", autocomplete: "off", spellcheck: "false" });
  const hint = make("span", { class: "dhaps-hint", role: "status" });
  let marked = -1; // place among the chips of what Enter takes; -1: nothing
  let offered = []; // [name, is it new]

  const clean = () => search.value.trim();

  function fill() {
    const text = clean();
    const low = text.toLowerCase();
    const exact = classes.filter((one) => one.name === text);
    const found = [...exact, ...classes.filter((one) => one.name.toLowerCase().includes(low) && one.name !== text)];
    offered = found.slice(0, SHOWN).map((one) => [one.name, false]);
    if (text && !exact.length) offered.push([text, true]);
    // By itself only what was typed in full, or all that is left of the classes, is marked.
    marked = !text ? -1 : exact.length ? 0 : found.length === 1 ? 0 : !classes.length ? 0 : -1;
    const more = found.length > SHOWN ? make("span", { class: "dhaps-soft", text: `and ${found.length - SHOWN} more: search` }) : null;
    list.replaceChildren(...found.slice(0, SHOWN).map(chip), ...(more ? [more] : []),
      ...(text && !exact.length ? [button(`new class: ${text}`, "", "new", (event) => choose(text, event))] : []), hint);
    mark();
    hint.textContent = !text || marked >= 0 ? "" : found.length ? "several match: ↑ ↓ choose" : "no class is called so: ↓ Enter makes it one";
  }

  function chip(one) {
    const node = button(one.name, one.key, "class", (event) => choose(one.name, event));
    if (one.likely != null) node.append(make("span", { class: "dhaps-likely", title: "by the answers so far", text: `${Math.round(100 * one.likely)} %` }));
    node.setAttribute("aria-pressed", picked.has(one.name));
    return node;
  }

  function mark() {
    [...list.querySelectorAll("button")].forEach((node, i) => {
      node.classList.toggle("dhaps-marked", i === marked);
      if (i === marked) node.scrollIntoView({ block: "nearest" });
    });
  }

  function clear() {
    search.value = "";
    fill();
  }

  search.addEventListener("input", fill);
  search.addEventListener("keydown", (event) => {
    if (composing(event)) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : -1;
      if (offered.length) marked = marked < 0 ? (step > 0 ? 0 : offered.length - 1) : (marked + step + offered.length) % offered.length;
      hint.textContent = "";
      return mark();
    }
    if (event.key === "Escape") {
      clear();
      return leave();
    }
    if (event.key !== "Enter" || event.shiftKey || marked < 0) return;
    const [name] = offered[marked];
    clear();
    choose(name, null);
    if (!several) leave();
  });
  search.addEventListener("blur", () => !clean() && fill());
  fill();
  return { list, field: make("label", { class: "dhaps-find" }, search, key("f")) };
}
