// The answers panel: a page of answers with their filters. The kernel decides; the panel only shows its view.

const SIZE = 96; // pixels of a picture in a row
const WORDS = ["same", "different", "unsure"];

function render({ model, el }) {
  const card = make("div", { class: "dhaps-card dhaps-all-answers", role: "group", "aria-label": "all answers" });
  const head = make("div", { class: "dhaps-answers-bar" });
  const note = make("div", { class: "dhaps-note", role: "status" });
  const table = make("table");
  const foot = make("div", { class: "dhaps-answers-bar" });
  const files = make("div", { class: "dhaps-answers-bar" });
  card.append(head, note, table, foot, files);
  el.append(card);
  const book = pictureBook(model, () => paintRows());
  const view = () => model.get("view");
  const send = (message) => model.send(message);

  function button(label, act, props = {}) {
    return make("button", { type: "button", class: "dhaps-button", onclick: act, ...props }, label);
  }

  // Its label is the first choice, which lists all.
  function choice(name, label, options) {
    const value = view().filters[name];
    const select = make("select", { "aria-label": label, onchange: () => send({ do: "filter", name, value: select.value }) },
      make("option", { value: "", text: label }),
      ...options.map(([key, text]) => make("option", { value: key, text, selected: key === value })));
    return select;
  }

  function counted(list) {
    return list.filter((one) => one.count).map((one) => [one.name, `${one.name} (${one.count})`]);
  }

  function paintHead() {
    const now = view();
    const doubted = make("input", { type: "checkbox", onchange: () => send({ do: "filter", name: "doubted", value: doubted.checked }) });
    doubted.checked = now.filters.doubted;
    head.replaceChildren(
      make("b", { text: now.found === now.total ? `${now.total} answers` : `${now.found} of ${now.total} answers` }),
      choice("class_", "every class", [...counted(now.classes), ...counted(now.words)]),
      choice("who", "everybody", counted(now.people)),
      choice("round", "every round", now.rounds.map((one) => [one, one === "none" ? "not asked by this run" : `round ${one}`])),
      choice("kind", "both kinds", [["class", "classes"], ["pair", "pairs"]]),
      make("label", {}, doubted, "the model disagrees"),
      button("Undo", () => send({ do: "undo" }), { disabled: !now.undo }),
      button("Redo", () => send({ do: "redo" }), { disabled: !now.redo }));
    const told = [now.note || now.news, now.left && `Not counted in this run: ${now.left}.`].filter(Boolean);
    note.replaceChildren(...told.map((text) => make("div", { text })));
    if (now.merging) {
      note.append(button("Merge", () => send({ do: "merge" }), { class: "dhaps-button dhaps-merge" }),
        button("Keep apart", () => send({ do: "keep apart" })));
    }
  }

  function reviser(one) {
    const names = one.kind === "pair" ? WORDS : view().classes.map((known) => known.name);
    const other = "another name ...";
    const change = () => {
      if (select.value !== other) return send({ do: "revise", row: one.row, value: value(select.value) });
      select.replaceWith(field("name of the class", (text) => send({ do: "revise", row: one.row, value: value(text) })));
    };
    const value = (text) => (one.kind === "class" && view().several ? text.split(",").map((part) => part.trim()) : text);
    const said = one.kind === "pair" ? one.value : one.value.join(", ");
    const select = make("select", { "aria-label": `change answer ${one.row}`, onchange: change },
      make("option", { text: said, value: said, selected: true }),
      ...names.filter((name) => name !== said).map((name) => make("option", { text: name, value: name })),
      one.kind === "class" && make("option", { text: other, value: other }));
    return select;
  }

  function field(label, done) {
    const input = make("input", { type: "text", placeholder: label, "aria-label": label });
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.isComposing && input.value.trim()) done(input.value.trim());
    });
    return input;
  }

  function paintRows() {
    const now = view();
    const doubted = now.filters.doubted;
    const pictured = now.rows.filter((one) => one.pictured).flatMap((one) => one.keys);
    book.keep(pictured, SIZE);
    book.want(pictured, SIZE);
    const shown = (one) => one.keys.map((key) => make("span", { class: "dhaps-answers-item", title: key },
      one.pictured && make("span", { class: "dhaps-thumb" }, picture(book.url(key, SIZE), key)),
      make("span", { class: "dhaps-key", text: key })));
    table.replaceChildren(
      make("thead", {}, make("tr", {}, ...["item", "answer", doubted && "others say", "by", "round", ""]
        .filter((text) => text !== false).map((text) => make("th", { text })))),
      make("tbody", {}, ...now.rows.map((one) => make("tr", {},
        make("td", {}, ...shown(one)),
        make("td", {}, reviser(one)),
        doubted && make("td", { text: `${one.p} %` }),
        make("td", { text: one.who }),
        make("td", { text: one.round === "none" ? "–" : one.round }),
        make("td", {}, button("Take back", () => send({ do: "retract", row: one.row }), { "aria-label": `take back answer ${one.row}` }))))));
  }

  function paintFoot() {
    const now = view();
    const chosen = now.filters.class_;
    const renamed = chosen && !WORDS.includes(chosen);
    foot.replaceChildren(...[
      button("‹", () => send({ do: "page", page: now.page - 1 }), { disabled: now.page === 0, "aria-label": "newer answers" }),
      make("span", { text: `page ${now.page + 1} of ${now.pages}` }),
      button("›", () => send({ do: "page", page: now.page + 1 }), { disabled: now.page + 1 >= now.pages, "aria-label": "older answers" }),
      now.found > 0 && now.found < now.total && button(`Take back all ${now.found}`, () => send({ do: "retract listed" })),
      renamed && make("label", {}, `rename or merge ${chosen}: `, field("new name, Enter", (text) => send({ do: "rename", old: chosen, new: text }))),
    ].filter(Boolean));
  }

  function paintFiles() {
    files.replaceChildren(
      make("label", {}, "take answers from ", field("a CSV file, Enter", (path) => send({ do: "take", path }))),
      make("label", {}, "write them to ", field("a CSV file, Enter ", (path) => send({ do: "write", path }))));
  }

  function paint() {
    paintHead();
    paintRows();
    paintFoot();
    if (!files.contains(document.activeElement)) paintFiles();
  }

  const unshield = shield(card, null);
  model.on("change:view", paint);
  paint();
  return () => {
    unshield();
    book.close();
    model.off("change:view", paint);
  };
}

export default { render };
