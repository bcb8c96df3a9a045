// The labelling card: two pictures, one question, one key. The kernel decides; the card only shows its view.

const SIZE = 512; // pixels of a picture on the card
const REACTION = 180; // ms in which nobody can have judged a new pair: such a press was meant for the last one
const SILENCE = 3000; // ms without an answer of the kernel before the card says so

function render({ model, el }) {
  const card = make("div", { class: "dhaps-card dhaps-labeller", role: "group", "aria-label": "pair labeller" });
  const working = make("div", { class: "dhaps-working", role: "status" });
  const alarm = make("div", { class: "dhaps-alarm", role: "alert", hidden: true });
  const head = make("div", { class: "dhaps-head" });
  const body = make("div", { class: "dhaps-body" });
  const foot = make("div", { class: "dhaps-foot" });
  const overlay = make("div", { class: "dhaps-overlay", hidden: true });
  const help = make("div", { class: "dhaps-overlay dhaps-sheet", hidden: true, onclick: () => { help.hidden = true; } });
  card.append(alarm, head, working, body, foot, overlay, help);
  el.append(card);

  let waiting = false; // for the kernel's word on the last press
  let shownAt = 0;
  let shownTurn = null;
  let timer = 0;
  let host = card; // what has the focus and the keys: the card, or the cockpit that it is part of
  let ticking = 0;
  let revising = null; // row of the earlier answer that is being changed
  const picked = new Set(); // classes ticked for an item that may have several
  // Pictures fetched ahead change nothing on the screen.
  const book = pictureBook(model, () => card.querySelector(".dhaps-blank:empty") && paint());
  const view = () => model.get("view");
  const focus = () => host.focus({ preventScroll: true });
  const zoom = pairZoom(overlay, book, focus);

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
      "If it was restarted, run the notebook again (Run > Run All Cells); saved answers are kept.";
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
      zoom.close();
      help.hidden = true;
    }
    head.replaceChildren(...header(now));
    const typing = body.querySelector("input.dhaps-search");
    if (typing && card.dataset.turn === String(now.turn) && !now.conflict) {
      refreshPair(now);
    } else {
      body.replaceChildren(...(now.conflict ? conflict(now) : now.closed ? closed(now) : question(now)));
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
        counts.pace && make("span", { class: "dhaps-pace", title: "by your last answers", text: `${counts.pace.per_minute} a minute${counts.pace.left ? `, about ${counts.pace.left} left` : ""}` }),
        make("span", { class: "dhaps-who", text: now.who }),
        make("label", { class: "dhaps-go-on", title: "run the next round as soon as the last question is answered" },
          make("input", { type: "checkbox", checked: model.get("go_on"), onchange: () => goOn() }), " go on by itself", key("a"))),
      now.outlook ? make("div", { class: "dhaps-outlook", text: now.outlook.short, title: now.outlook.line }) : null,
    ].filter(Boolean);
  }

  function closed(now) {
    const run = button(now.round ? `Run round ${now.round}` : "Start", "r", "round", (event) => round(event));
    return [
      make("p", { class: "dhaps-closed", text: now.closed }),
      now.paused || !(now.over || now.round === 0) ? null : make("div", { class: "dhaps-buttons" }, run, ...(now.round ? steps().slice(1, 3) : [])),
      make("div", { class: "dhaps-note", role: "status", text: now.note }),
    ].filter(Boolean);
  }

  function question(now) {
    return [
      make("div", { class: "dhaps-pair" }, ...now.items.map((item) => figure(item, now.kind === "class" && item.asked))),
      make("div", { class: "dhaps-ask" }, askFor(now)),
      now.guide ? make("div", { class: "dhaps-guide", title: now.guide, text: now.guide }) : null,
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
    const caption = make("figcaption", {}, make("span", { class: "dhaps-key", text: item.name, title: item.name }));
    if (item.said != null) caption.append(make("span", { class: "dhaps-said", text: item.said }));
    const content = item.pictured ? picture(book.url(item.key, SIZE), item.name) : features(item);
    const frame = make("figure", { class: framed ? "dhaps-framed" : "" }, make("div", { class: "dhaps-picture" }, content), caption);
    if (item.pictured) frame.firstChild.addEventListener("click", () => zoom.open(view().items));
    return frame;
  }

  // An item without a picture: its features as bars, and the known items nearest to it.
  function features(item) {
    const near = item.near.map((one) => make("li", { text: `${one.said}: ${one.key} (cosine ${one.cosine})` }));
    return make("div", { class: "dhaps-features" },
      featureBars(item.profile),
      near.length ? make("ul", {}, ...near) : make("p", { text: "no labelled item to compare with yet" }));
  }

  function button(label, letter, name, act) {
    return make("button", { type: "button", class: `dhaps-button dhaps-${name}`, onclick: act }, label, letter ? key(letter) : null);
  }

  const skip = (event) => send({ do: "skip" }, event);
  const undo = (event) => send({ do: "undo" }, event);
  const redo = (event) => send({ do: "redo" }, event);
  const steps = () => [button("Skip", "e", "skip", skip), button("Undo", "z", "undo", undo), button("Redo", "y", "redo", redo), button("", "?", "help", () => ask())];

  function pairButtons() {
    const answers = PAIR_ANSWERS.map(([value, label, letter]) =>
      button(label, letter, value, (event) => send({ do: "answer", value }, event)));
    return make("div", { class: "dhaps-buttons" }, ...answers, ...steps());
  }

  function classButtons(now) {
    const { list, field } = classChooser({ classes: now.classes, several: now.several, picked, choose, leave: focus, button });
    const last = now.several
      ? [button("Save", "space", "save", (event) => save(event)), button("None of them", "n", "none", (event) => send({ do: "answer", value: "(none)" }, event))]
      : [];
    return make("div", { class: "dhaps-choosing" }, list, make("div", { class: "dhaps-buttons" }, field, ...last, ...steps()));
  }

  function choose(name, event) {
    if (!view().several) return send({ do: "answer", value: name }, event);
    picked.has(name) ? picked.delete(name) : picked.add(name);
    const known = view().classes.some((one) => one.name === name);
    if (!known) model.set("view", { ...view(), classes: [...view().classes, { name, key: "", likely: null }] });
    for (const chip of card.querySelectorAll(".dhaps-class"))
      chip.setAttribute("aria-pressed", picked.has(chip.firstChild.textContent));
    if (!known) body.replaceChildren(...question(view()));
  }

  function save(event) {
    if (picked.size) send({ do: "answer", value: [...picked] }, event);
  }

  // --- earlier answers

  function thumbnails(one) {
    return one.keys.map((key, at) => [key, one.names[at]]).map(([key, name]) =>
      one.pictured ? make("span", { class: "dhaps-thumb", title: name }, picture(book.url(key, SIZE), name)) : make("span", { class: "dhaps-key", text: name, title: name }));
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
    if (now.conflict) return [];
    const cells = now.recent.map((one) =>
      make("button", { type: "button", class: "dhaps-recent", "aria-label": `revise answer ${one.row}`, title: one.names.join(" | "),
        onclick: () => { revising = revising === one.row ? null : one.row; foot.replaceChildren(...footer(view())); } },
        make("span", { class: "dhaps-thumbs" }, ...thumbnails(one)), make("span", { class: `dhaps-value dhaps-is-${one.kind === "pair" ? one.value : "class"}`, text: one.value })));
    const open = now.recent.find((one) => one.row === revising);
    return [
      make("div", { class: "dhaps-strip" }, make("span", { class: "dhaps-label", text: now.recent.length ? "last answers" : "last answers: none yet" }), ...cells),
      open ? make("div", { class: "dhaps-reviser" }, make("span", { text: `Change answer ${open.row} to` }), reviser(open)) : null,
    ].filter(Boolean);
  }

  function conflict(now) {
    const told = (one, extra) => make("li", {}, make("span", { class: "dhaps-thumbs" }, ...thumbnails(one)),
      make("span", { class: `dhaps-value dhaps-is-${one.value}`, text: one.value }), extra);
    const mine = { keys: now.conflict.keys, names: now.conflict.names, value: now.conflict.value, pictured: now.conflict.chain.some((one) => one.pictured) };
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

  // --- rounds, help, and what goes on in the background

  const round = (event) => send({ do: "round" }, event);

  function goOn() {
    model.set("go_on", !model.get("go_on"));
    model.save_changes();
  }

  function ask() {
    help.replaceChildren(helpSheet(view()));
    help.hidden = false;
  }

  // The kernel says how long it will take; between two words of it the card counts on.
  function work() {
    clearInterval(ticking);
    const now = model.get("work");
    working.hidden = !now.what;
    if (!now.what) return;
    const began = performance.now();
    const show = () => {
      const left = now.left == null ? null : Math.max(0, now.left - (performance.now() - began) / 1000);
      const share = now.share == null || now.left == null ? null : 1 - (1 - now.share) * (now.left ? left / now.left : 0);
      const bar = make("progress", { max: 1, "aria-label": now.what, ...(share == null ? {} : { value: share }) });
      const time = left == null ? "" : left > 60 ? `: about ${Math.ceil(left / 60)} min left` : left > 0.5 ? `: about ${Math.ceil(left)} s left` : ": nearly there";
      working.replaceChildren(bar, make("span", { text: ` ${now.what}${time}` }));
    };
    show();
    if (now.left != null) ticking = setInterval(show, 500);
  }

  const repaintZoom = (content) => content && content.pictures && content.size === FULL && zoom.draw();

  // Run All ends at the last cell; the work begins here.
  function comeIntoView() {
    if (host === card) return;
    const view = () => host.isConnected && host.scrollIntoView({ block: "start" });
    [100, 800].forEach((wait) => setTimeout(view, wait));
  }

  // --- keys

  function onKey(event) {
    const pressed = keyName(event);
    const now = view();
    if (["shift", "capslock", "altgraph", "control", "alt", "meta"].includes(pressed)) return false;
    if (!help.hidden) return (help.hidden = true);
    if (zoom.shown) return zoom.onKey(pressed), true;
    if (pressed === "?") return ask(), true;
    if (pressed === "a") return goOn(), true;
    if (pressed === "z") return send({ do: now.conflict ? "drop" : "undo" }, null), true;
    if (pressed === "y" && !now.conflict) return redo(null), true;
    if (pressed === "r" && !now.conflict && !now.paused) return round(null), true;
    if (now.conflict || now.closed) return false;
    if (pressed === "e") return skip(null), true;
    const near = host.querySelector(".dhaps-near-take");
    if (pressed === "t" && near) return near.click(), true;
    if (pressed === "v") return zoom.open(now.items), true;
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

  let unshield = () => {};
  const recount = () => head.replaceChildren(...header(view()));
  model.on("change:view", paint);
  model.on("change:counts", recount);
  model.on("change:go_on", recount);
  model.on("change:work", work);
  model.on("msg:custom", heard);
  model.on("msg:custom", repaintZoom);
  paint();
  work();
  const detach = whenAttached(card, () => {
    host = card.closest(".dhaps-cockpit") || card;
    unshield = shield(host, onKey);
    if (host !== card) card.tabIndex = -1;
    focus();
    comeIntoView();
  });
  return () => {
    detach();
    unshield();
    clearTimeout(timer);
    clearInterval(ticking);
    book.close();
    model.off("change:view", paint);
    model.off("change:counts", recount);
    model.off("change:go_on", recount);
    model.off("change:work", work);
    model.off("msg:custom", heard);
    model.off("msg:custom", repaintZoom);
  };
}

export default { render };
