// Keeps the keys of plain ipywidgets inside their box, as the cards do for themselves.

export default {
  render({ el }) {
    let unshield = null;
    const detach = whenAttached(el, () => {
      const box = el.closest(".dhaps-card");
      if (box) unshield = shield(box, null);
    });
    return () => {
      detach();
      if (unshield) unshield();
    };
  },
};
