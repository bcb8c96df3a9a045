// Keys and the focus, as all cards have them; Python puts this text behind card.js.

const TYPING = /^(INPUT|TEXTAREA|SELECT)$/;
const EDITORS = ".cm-editor, input, textarea, select, [contenteditable=true], .jp-Dialog";

// What a key means, on any layout: the Latin letter or digit that it writes; where it writes another script,
// or a digit only with Shift (as in France), the one that lies there on other keyboards.
function keyName(event) {
  const key = event.key.toLowerCase();
  if (/^[a-z0-9]$/.test(key)) return key;
  const [, letter, digit] = /^(?:Key([A-Z])|(?:Digit|Numpad)([0-9]))$/.exec(event.code) || [];
  if (digit && !event.shiftKey) return digit;
  if (letter && (key.length === 1 || key === "process" || key === "dead" || key === "unidentified")) return letter.toLowerCase();
  return key;
}

// A key that an input method uses to compose a letter is not the card's.
const composing = (event) => event.isComposing || event.keyCode === 229;

// Keys that a card leaves alone: combinations that are JupyterLab's, ...
const elsewhere = (event) =>
  event.ctrlKey || event.metaKey || event.altKey || event.key === "Tab" || (event.shiftKey && event.key === "Enter");
// ... and those of a control: text that is typed, a button that is pressed.
const inControl = ({ target, key }) =>
  (TYPING.test(target.tagName) && target.type !== "checkbox") || (target.tagName === "BUTTON" && (key === "Enter" || key === " "));

// Keeps plain keys and the focus inside a card. Any plain key that gets through reaches JupyterLab, where
// D D deletes the cell: so all of them are stopped, also those without a meaning and automatic repeats.
// Combinations with Ctrl, Meta and Alt, Tab and Shift+Enter stay JupyterLab's.
function shield(card, onKey) {
  card.tabIndex = 0;
  card.setAttribute("data-lm-suppress-shortcuts", "true");
  const keydown = (event) => {
    if (elsewhere(event)) return;
    event.stopPropagation();
    if (inControl(event)) return;
    if (event.repeat) event.preventDefault();
    else if (onKey && onKey(event)) event.preventDefault();
  };
  // A click on a picture would give the focus to the notebook's cell, and a button would keep it.
  const mousedown = (event) => {
    if (event.target.closest("input,select,textarea,a,summary")) return;
    event.preventDefault();
    event.stopPropagation();
    card.focus({ preventScroll: true });
  };
  card.addEventListener("keydown", keydown);
  card.addEventListener("mousedown", mousedown);
  const letGo = [keepFocus(card), guardCell(card)];
  return () => {
    card.removeEventListener("keydown", keydown);
    card.removeEventListener("mousedown", mousedown);
    letGo.forEach((undo) => undo());
  };
}

// Guards a card that is no part of a cockpit, which guards all of its parts.
function shieldAlone(card) {
  let unshield = () => {};
  const detach = whenAttached(card, () => {
    if (!card.closest(".dhaps-cockpit")) unshield = shield(card, null);
  });
  return () => {
    detach();
    unshield();
  };
}

// The focus comes back to a card that had it when what had it in there is gone or disabled, when a choice was
// made in a list, and when the theme has changed; not when the person went elsewhere.
function keepFocus(card) {
  let last = false; // whether the card was what the person worked at last
  let pressed = 0;
  const take = () => {
    if (last && card.isConnected && !document.activeElement.closest(EDITORS)) card.focus({ preventScroll: true });
  };
  const lost = () => document.activeElement === document.body && performance.now() - pressed > 100 && take();
  const pointerdown = (event) => {
    if (!card.contains(event.target)) pressed = performance.now();
  };
  const focusin = (event) => {
    if (card.contains(event.target)) last = true;
    else if (event.target.closest(`.jp-Notebook, ${EDITORS}`)) last = false;
  };
  const focusout = () => setTimeout(lost);
  const chosen = (event) => event.target.matches("select, input[type=checkbox]") && setTimeout(() => card.focus({ preventScroll: true }));
  const theme = new MutationObserver(() => setTimeout(take, 100));
  document.addEventListener("pointerdown", pointerdown, true);
  document.addEventListener("focusin", focusin);
  card.addEventListener("focusout", focusout);
  card.addEventListener("change", chosen);
  theme.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-name", "data-jp-theme-light"] });
  return () => {
    document.removeEventListener("pointerdown", pointerdown, true);
    document.removeEventListener("focusin", focusin);
    card.removeEventListener("focusout", focusout);
    card.removeEventListener("change", chosen);
    theme.disconnect();
  };
}

// A slip beside a card, where JupyterLab has the keys, does not delete or cut the cell that holds it.
function guardCell(card) {
  let timer = 0;
  const notice = make("div", { class: "dhaps-notice", role: "status", hidden: true,
    text: "This cell holds a card: D D and X leave it. Edit > Delete Cell deletes it." });
  const keydown = (event) => {
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    if (!plain || !["d", "x"].includes(event.key.toLowerCase()) || card.contains(event.target)) return;
    const cell = card.closest(".jp-Cell");
    const notebook = cell && cell.closest(".jp-Notebook");
    if (!notebook || !notebook.contains(event.target) || event.target.closest(EDITORS)) return;
    if (!cell.matches(".jp-mod-active, .jp-mod-selected")) return;
    event.stopImmediatePropagation();
    event.preventDefault();
    card.append(notice);
    notice.hidden = false;
    clearTimeout(timer);
    timer = setTimeout(() => { notice.hidden = true; }, 4000);
  };
  document.addEventListener("keydown", keydown, true);
  return () => {
    clearTimeout(timer);
    notice.remove();
    document.removeEventListener("keydown", keydown, true);
  };
}
