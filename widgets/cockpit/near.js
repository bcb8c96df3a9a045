// Live neighbours: two rows of small pictures, which follow the card.

const THUMB = 96;

function render({ model, el }) {
  const box = make("div", { class: "dhaps-near" });
  el.append(box);
  const book = pictureBook(model, paint);
  const SIDES = ["left", "right"];

  function tile(one, pictured) {
    const inside = pictured ? picture(book.url(one.key, THUMB), one.name) : make("span", { class: "dhaps-key", text: one.name });
    return make("figure", { class: "dhaps-near-one", title: one.name },
      make("div", { class: "dhaps-near-picture" }, inside),
      make("figcaption", {}, make("b", { text: String(one.distance) }), one.said && make("bdi", { text: ` ${one.said}` })));
  }

  function paint() {
    const rows = model.get("rows");
    const pictured = model.get("pictured");
    const keys = rows.flatMap((row) => row.near.map((one) => one.key));
    if (pictured) {
      book.keep(keys, THUMB);
      book.want(keys, THUMB);
    }
    box.replaceChildren(make("div", { class: "dhaps-soft", text: model.get("note") }),
      ...rows.map((row, i) => make("div", { class: "dhaps-near-row" },
        make("span", { class: "dhaps-soft dhaps-near-side", text: rows.length > 1 ? SIDES[i] : "" }),
        ...row.near.map((one) => tile(one, pictured)),
        make("button", { type: "button", class: `dhaps-button dhaps-near-all${row.asked ? " dhaps-near-take" : ""}`,
          title: "name this item and the neighbours shown together", onclick: () => model.send({ take: row.key }) },
          "name all", row.asked && make("kbd", { text: "T" })))));
  }

  model.on("change:rows", paint);
  model.on("change:note", paint);
  paint();
  return () => {
    book.close();
    model.off("change:rows", paint);
    model.off("change:note", paint);
  };
}

export default { render };
