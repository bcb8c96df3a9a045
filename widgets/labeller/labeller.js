// The labelling card: two pictures, one question, one key. The kernel decides; the card only shows its view.

const SIZE = 512; // pixels of a picture on the card
const FULL = 1600; // of a picture that was clicked
const REACTION = 180; // ms in which nobody can have judged a new pair: such a press was meant for the last one
const SILENCE = 3000; // ms without an answer of the kernel before the card says so

const PAIR_ANSWERS = [
  ["same", "Same", "s"],
  ["different", "Different", "d"],
  ["unsure", "Unsure", "w"],
];
const TERM_NAMES = {
  uncertainty: "uncertain to the model",
  representativeness: "stands for many items",
  diversity: "unlike what is labelled",
};

function render({ model, el }) {
  const card = make("div", { class: "dhaps-card dhaps-labeller", role: "group", "aria-label": "pair labeller" });
  const alarm = make("div", { class: "dhaps-alarm", role: "alert", hidden: true });
  const head = make("div", { class: "dhaps-head" });
  const body = make("div", { class: "dhaps-body" });
  const foot = make("div", { class: "dhaps-foot" });
  const overlay = make("div", { class: "dhaps-overlay", hidden: true, onclick: () => zoom(null) });
  card.append(alarm, head, body, foot, overlay);
  el.append(card);

  let waiting = false; // for the kernel's word on the last press
  let shownAt = 0;
  let shownTurn = null;
  let timer = 0;
  let zoomed = null;
  let revising = null; // row of the earlier answer that is being changed
  const picked = new Set(); // classes ticked for an item that may have several
  // Pictures fetched ahead change nothing on the screen.
  const book = pictureBook(model, () => card.querySelector(".dhaps-blank:empty") && paint());
  const view = () => model.get("view");

  // --- talking to the kernel

  function send(message, event) {
    const early = performance.now() - shownAt;
    // detail counts the clicks of a double or triple click
    if (waiting || early < REACTION || (event && event.detail > 1 && early < 500)) return;
    waiting = true;
    card.dataset.waiting = "1";
    clearTimeout(timer);
    timer = setTimeout(silent, SILENCE);
    try {
      model.send({ ...message, turn: view().turn });
    } catch {
      silent();
    }
  }

  function silent() {
    waiting = false;
    delete card.dataset.waiting;
    alarm.textContent =
      "The kernel does not answer: your last answer may not be saved. " +
      "If it was restarted, run this cell again; saved answers are kept.";
    alarm.hidden = false;
  }

  function heard(content) {
    if (!content || !content.ack) return;
    clearTimeout(timer);
    waiting = false;
    delete card.dataset.waiting;
    alarm.hidden = true;
  }

  // --- drawing

  function paint() {
    const now = view();
    const pictured = now.items.filter((item) => item.pictured).map((item) => item.key);
    const small = now.recent.concat(now.conflict ? now.conflict.chain : []).filter((one) => one.pictured);
    const kept = [...pictured, ...small.flatMap((one) => one.keys), ...(now.conflict && pictured.length ? now.conflict.keys : [])];
    const ahead = pictured.length ? now.ahead : [];
    book.keep([...kept, ...ahead], SIZE);
    book.want([...kept, ...ahead], SIZE);
    if (now.turn !== shownTurn) {
      shownTurn = now.turn;
      shownAt = performance.now();
      picked.clear();
      zoom(null);
    }
    head.replaceChildren(...header(now));
    const typing = body.querySelector("input.dhaps-search");
    if (typing && card.dataset.turn === String(now.turn) && !now.conflict) {
      refreshPair(now);
    } else {
      body.replaceChildren(...(now.conflict ? conflict(now) : now.closed ? [make("p", { class: "dhaps-closed", text: now.closed })] : question(now)));
    }
    foot.replaceChildren(...footer(now));
    announce(now);
  }

  // data-turn says which turn is really on the screen: its pictures are decoded and painted.
  async function announce(now) {
    const images = [...body.querySelectorAll("img")];
    if (body.querySelector(".dhaps-pair .dhaps-blank:empty")) return;
    await Promise.all(images.map((image) => image.decode().catch(() => null)));
    requestAnimationFrame(() => {
      if (view().turn !== now.turn) return;
      card.dataset.turn = String(now.turn);
      card.dataset.ready = "1";
    });
  }

  function header(now) {
    const done = now.asked - now.left;
    const counts = model.get("counts");
    const against = (count, budget) => (budget == null ? `${count}` : `${count} / ${budget}`);
    return [
      make("div", { class: "dhaps-title" },
        make("strong", { text: now.round ? `Round ${now.round}` : "Before round 1" }),
        make("span", { class: "dhaps-progress-text", text: now.asked ? ` ${done} of ${now.asked} answered` : "" }),
        make("progress", { max: Math.max(1, now.asked), value: done, "aria-label": "questions of this round" })),
      make("div", { class: "dhaps-counts" },
        make("span", { class: "dhaps-answers", text: `answers ${against(counts.answers, counts.budget_answers)}` }),
        make("span", { class: "dhaps-items", text: `items labelled ${against(counts.items, counts.budget_items)}` }),
        make("span", { class: "dhaps-implied", title: "pairs known without asking", text: `pairs implied ${counts.implied}` }),
        make("span", { class: "dhaps-who", text: now.who })),
      now.outlook ? make("div", { class: "dhaps-outlook", text: now.outlook.short, title: now.outlook.line }) : null,
    ].filter(Boolean);
  }

  function question(now) {
    const ask =
      now.kind === "pair" ? "Are these two the same?" : now.several ? "Which classes does the framed item have?" : "What is the framed item?";
    return [
      make("div", { class: "dhaps-pair" }, ...now.items.map((item) => figure(item, now.kind === "class" && item.asked))),
      make("div", { class: "dhaps-ask", text: ask }),
      now.kind === "pair" ? pairButtons() : classButtons(now),
      make("div", { class: "dhaps-note", role: "status", text: now.note }),
      now.why ? reasons(now.why) : null,
    ].filter(Boolean);
  }

  function refreshPair(now) {
    body.querySelector(".dhaps-pair").replaceChildren(...now.items.map((item) => figure(item, now.kind === "class" && item.asked)));
    body.querySelector(".dhaps-note").textContent = now.note;
  }

  function figure(item, framed) {
    const caption = make("figcaption", {}, make("span", { class: "dhaps-key", text: item.key, title: item.key }));
    if (item.said != null) caption.append(make("span", { class: "dhaps-said", text: item.said }));
    const content = item.pictured ? picture(book.url(item.key, SIZE), item.key) : features(item);
    const frame = make("figure", { class: framed ? "dhaps-framed" : "" }, make("div", { class: "dhaps-picture" }, content), caption);
    if (item.pictured) frame.firstChild.addEventListener("click", () => zoom(item.key));
    return frame;
  }

  // An item without a picture: its features as bars, and the known items nearest to it.
  function features(item) {
    // The zero line lies at the bottom if no feature is negative, else in the middle.
    const reach = item.profile.some((value) => value < 0) ? 50 : 100;
    const bars = item.profile.map((value) => {
      const bar = make("i", { class: value < 0 ? "dhaps-below" : "dhaps-above" });
      bar.style.height = `${Math.max(1, Math.abs(value) * reach)}%`;
      bar.style.bottom = `${value < 0 ? 50 - Math.abs(value) * 50 : 100 - reach}%`;
      return bar;
    });
    const near = item.near.map((one) => make("li", { text: `${one.said}: ${one.key} (cosine ${one.cosine})` }));
    return make("div", { class: "dhaps-features" },
      make("div", { class: "dhaps-bars", "aria-label": "features" }, ...bars),
      near.length ? make("ul", {}, ...near) : make("p", { text: "no labelled item to compare with yet" }));
  }

  function key(letter) {
    return make("kbd", { text: letter.toUpperCase() });
  }

  function button(label, letter, name, act) {
    return make("button", { type: "button", class: `dhaps-button dhaps-${name}`, onclick: act }, label, letter ? key(letter) : null);
  }

  const skip = (event) => send({ do: "skip" }, event);
  const undo = (event) => send({ do: "undo" }, event);
  const redo = (event) => send({ do: "redo" }, event);
  const steps = () => [button("Skip", "e", "skip", skip), button("Undo", "z", "undo", undo), button("Redo", "y", "redo", redo)];

  function pairButtons() {
    const answers = PAIR_ANSWERS.map(([value, label, letter]) =>
      button(label, letter, value, (event) => send({ do: "answer", value }, event)));
    return make("div", { class: "dhaps-buttons" }, ...answers, ...steps());
  }

  function classButtons(now) {
    const search = make("input", { class: "dhaps-search", type: "text", placeholder: "find a class, or name a new one", "aria-label": "find a class" });
    const list = make("div", { class: "dhaps-classes" });
    const matching = () => {
      const text = search.value.trim().toLowerCase();
      return now.classes.filter((one) => one.name.toLowerCase().includes(text));
    };
    const fill = () => {
      const text = search.value.trim();
      const found = matching().map((one) => {
        const chip = button(one.name, one.key, "class", (event) => choose(one.name, event));
        chip.setAttribute("aria-pressed", picked.has(one.name));
        return chip;
      });
      const fresh = text && !now.classes.some((one) => one.name === text);
      list.replaceChildren(...found, ...(fresh ? [button(`new class: ${text}`, "", "new", (event) => choose(text, event))] : []));
    };
    search.addEventListener("input", fill);
    search.addEventListener("keydown", (event) => {
      if (event.key === "Escape") card.focus({ preventScroll: true });
      if (event.key !== "Enter" || event.shiftKey) return;
      const text = search.value.trim();
      const exact = now.classes.find((one) => one.name === text) || (matching().length === 1 && matching()[0]);
      if (text) choose(exact ? exact.name : text, null);
      search.value = "";
      card.focus({ preventScroll: true });
      if (now.several) fill();
    });
    fill();
    const last = now.several
      ? [button("Save", "space", "save", (event) => save(event)), button("None of them", "n", "none", (event) => send({ do: "answer", value: "(none)" }, event))]
      : [];
    return make("div", {}, list,
      make("div", { class: "dhaps-buttons" }, make("label", { class: "dhaps-find" }, search, key("f")), ...last, ...steps()));
  }

  function choose(name, event) {
    if (!view().several) return send({ do: "answer", value: name }, event);
    picked.has(name) ? picked.delete(name) : picked.add(name);
    const known = view().classes.some((one) => one.name === name);
    if (!known) model.set("view", { ...view(), classes: [...view().classes, { name, key: "" }] });
    for (const chip of card.querySelectorAll(".dhaps-class"))
      chip.setAttribute("aria-pressed", picked.has(chip.firstChild.textContent));
    if (!known) body.replaceChildren(...question(view()));
  }

  function save(event) {
    if (picked.size) send({ do: "answer", value: [...picked] }, event);
  }

  function reasons(why) {
    const rows = why.terms.map((term) => {
      const bar = make("div", { class: "dhaps-bar" }, make("i"));
      bar.firstChild.style.width = `${Math.round(100 * term.share)}%`;
      return make("div", { class: "dhaps-term", title: `cost ${term.cost}; the bar compares the picks of this round` },
        make("span", { text: TERM_NAMES[term.name] || term.name }), bar);
    });
    const percent = Math.round(100 * why.probability);
    const fitted = why.fitted ? "" : " (before any answer)";
    const pick = `pick ${why.pick} of ${why.picks}`;
    const two = why.distance !== undefined;
    const compared = why.pick ? `Does the left one belong to the group of the right one? It came with ${pick}` : "Are these two groups one?";
    const placed = two ? compared : "A name takes less time here than comparing, or its group has none yet";
    const title = why.placed ? placed : rows.length ? `Why this pair (${pick})` : `A random pair (${pick})`;
    return make("div", { class: "dhaps-why" },
      make("div", { class: "dhaps-why-title", text: title }),
      ...rows,
      two && make("div", { class: "dhaps-numbers" },
        make("span", { class: "dhaps-distance", text: `codes differ in ${why.distance} of ${why.bits} bits` }),
        make("span", { class: "dhaps-probability", text: `model says same: ${percent} %${fitted}` })));
  }

  // --- earlier answers

  function thumbnails(one) {
    return one.keys.map((name) =>
      one.pictured ? make("span", { class: "dhaps-thumb", title: name }, picture(book.url(name, SIZE), name)) : make("span", { class: "dhaps-key", text: name, title: name }));
  }

  function reviser(one) {
    const change = (value) => {
      revising = null;
      send({ do: "revise", row: one.row, value }, null);
    };
    if (one.kind === "pair") {
      const others = PAIR_ANSWERS.filter(([value]) => value !== one.value);
      return make("div", { class: "dhaps-revise" }, ...others.map(([value, label]) => button(label, "", `revise-${value}`, () => change(value))));
    }
    const names = view().classes.map((known) => known.name);
    const select = make("select", { "aria-label": "another class", onchange: () => change(view().several ? [select.value] : select.value) },
      make("option", { text: "another class", value: "" }), ...names.filter((name) => name !== one.value).map((name) => make("option", { text: name, value: name })));
    return make("div", { class: "dhaps-revise" }, select);
  }

  function footer(now) {
    if (!now.recent.length || now.conflict) return [];
    const cells = now.recent.map((one) =>
      make("button", { type: "button", class: "dhaps-recent", "aria-label": `revise answer ${one.row}`, title: one.keys.join(" | "),
        onclick: () => { revising = revising === one.row ? null : one.row; foot.replaceChildren(...footer(view())); } },
        make("span", { class: "dhaps-thumbs" }, ...thumbnails(one)), make("span", { class: `dhaps-value dhaps-is-${one.kind === "pair" ? one.value : "class"}`, text: one.value })));
    const open = now.recent.find((one) => one.row === revising);
    return [
      make("div", { class: "dhaps-strip" }, make("span", { class: "dhaps-label", text: "last answers" }), ...cells),
      open ? make("div", { class: "dhaps-reviser" }, make("span", { text: `Change answer ${open.row} to` }), reviser(open)) : null,
    ].filter(Boolean);
  }

  function conflict(now) {
    const told = (one, extra) => make("li", {}, make("span", { class: "dhaps-thumbs" }, ...thumbnails(one)),
      make("span", { class: `dhaps-value dhaps-is-${one.value}`, text: one.value }), extra);
    const mine = { keys: now.conflict.keys, value: now.conflict.value, pictured: now.conflict.chain.some((one) => one.pictured) };
    return [
      make("div", { class: "dhaps-conflict" },
        make("strong", { text: "This answer contradicts earlier ones" }),
        make("p", { text: "You said:" }),
        make("ol", { class: "dhaps-mine" }, told(mine, button("Take it back", "z", "drop", (event) => send({ do: "drop" }, event)))),
        make("p", { text: "Earlier answers say otherwise. Change the one that is wrong:" }),
        make("ol", { class: "dhaps-chain" }, ...now.conflict.chain.map((one) => told(one, reviser(one))))),
      make("div", { class: "dhaps-note", role: "status", text: now.note }),
    ];
  }

  // --- a picture at full size

  function zoom(name) {
    zoomed = name;
    overlay.hidden = name === null;
    if (name === null) {
      book.keep([], FULL);
      return overlay.replaceChildren();
    }
    book.want([name], FULL);
    const large = picture(book.url(name, FULL), name);
    large.addEventListener("click", (event) => {
      event.stopPropagation();
      overlay.classList.toggle("dhaps-magnified"); // from the size of the card to its own size, and back
    });
    overlay.replaceChildren(make("div", { class: "dhaps-key", text: `${name} (click: own size, any key: back)` }), large);
    overlay.classList.remove("dhaps-magnified");
  }

  const repaintZoom = (content) => {
    if (zoomed !== null && content && content.pictures && content.size === FULL) zoom(zoomed);
  };

  // --- keys

  function onKey(event) {
    const pressed = event.key.toLowerCase();
    const now = view();
    if (zoomed !== null) {
      zoom(null);
      return true;
    }
    if (pressed === "z") return send({ do: now.conflict ? "drop" : "undo" }, null), true;
    if (pressed === "y" && !now.conflict) return redo(null), true;
    if (now.conflict || now.closed) return false;
    if (pressed === "e") return skip(null), true;
    if (now.kind === "pair") {
      const hit = PAIR_ANSWERS.find(([, , letter]) => letter === pressed);
      if (hit) send({ do: "answer", value: hit[0] }, null);
      return Boolean(hit);
    }
    if (pressed === "f") return body.querySelector(".dhaps-search").focus(), true;
    if (now.several && pressed === "n") return send({ do: "answer", value: "(none)" }, null), true;
    if (now.several && (pressed === " " || pressed === "enter")) return save(null), true;
    const one = now.classes.find((known) => known.key === pressed);
    if (one) choose(one.name, null);
    return Boolean(one);
  }

  const unshield = shield(card, onKey);
  const recount = () => head.replaceChildren(...header(view()));
  model.on("change:view", paint);
  model.on("change:counts", recount);
  model.on("msg:custom", heard);
  model.on("msg:custom", repaintZoom);
  paint();
  const detach = whenAttached(card, () => card.focus({ preventScroll: true }));
  return () => {
    detach();
    unshield();
    clearTimeout(timer);
    book.close();
    model.off("change:view", paint);
    model.off("change:counts", recount);
    model.off("msg:custom", heard);
    model.off("msg:custom", repaintZoom);
  };
}

export default { render };
