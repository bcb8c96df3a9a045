// What the labelling card says: its answers, its keys, its reasons.

const PAIR_ANSWERS = [
  ["same", "Same", "s"],
  ["different", "Different", "d"],
  ["unsure", "Unsure", "w"],
];
const TERM_NAMES = {
  uncertainty: "its classes are undecided",
  representativeness: "stands for many items",
  diversity: "unlike what is labelled",
};

function askFor(now) {
  if (now.ask) return now.ask;
  if (now.kind === "pair") return "Are these two the same?";
  return now.several ? "Which classes does the framed item have?" : "What is the framed item?";
}

// Everything that a key does, for the help.
function keyList(now) {
  const pair = PAIR_ANSWERS.map(([, label, letter]) => [letter, label]);
  const classes = [
    ["1 … 0", "the class that has this digit"],
    ["f", "find a class, or name a new one; there ↑ ↓ choose, Enter takes what is marked, Escape leaves"],
    ...(now.several ? [["space", "save the classes that are ticked"], ["n", "none of them"]] : []),
  ];
  return [
    ...(now.kind === "pair" ? pair : classes),
    ["e", "skip: ask it last"],
    ["t", "take the neighbours that are shown, to name them together; so does a lasso on the map (Shift and drag)"],
    ["z", "undo the last step"],
    ["y", "bring back what was undone"],
    ["v", "both pictures side by side; there + − and the arrows move both, 0 shows all, any other key leaves"],
    ["r", "run the next round; you can answer on while it is trained"],
    ["a", "run the next round by itself after the last answer, or no longer"],
    ["?", "these keys"],
  ];
}

function helpSheet(now) {
  const rows = keyList(now).map(([keys, text]) => make("tr", {}, make("td", {}, key(keys)), make("td", { text })));
  const own = now.ask ? [make("h4", { text: now.ask }), ...now.guide.split("\n").map((text) => make("p", { text }))] : [];
  return make("div", { class: "dhaps-keys" }, ...own, make("h4", { text: "Keys" }), make("table", {}, ...rows),
    make("p", { class: "dhaps-soft", text: "The letters are those of the keys as they are printed; on other scripts, those of an English keyboard. Any key leaves." }));
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
  const pick = why.ahead ? "chosen ahead, while the round is trained" : `pick ${why.pick} of ${why.picks}`;
  const two = why.distance !== undefined;
  const compared = why.pick ? `Does the left one belong to the group of the right one? It came with ${pick}` : "Are these two groups one?";
  const placed = two ? compared : "A name takes less time here than comparing, or its group has none yet";
  const ranked = `Why this pair (${pick}); each bar ranks it among those picks`;
  const title = why.placed ? placed : rows.length ? ranked : `A random pair (${pick})`;
  return make("div", { class: "dhaps-why" },
    make("div", { class: "dhaps-why-title", text: title }),
    ...rows,
    two && make("div", { class: "dhaps-numbers" },
      make("span", { class: "dhaps-distance", text: `codes differ in ${why.distance} of ${why.bits} bits` }),
      make("span", { class: "dhaps-probability", text: `by the codes the two are the same with ${percent} %${fitted}` })));
}
