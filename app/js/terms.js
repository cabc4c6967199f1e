// Shows what a term means beside it, while a person points at it, or has tapped it.
const note = Object.assign(document.createElement("div"), { className: "meaning-note", role: "tooltip", popover: "manual" });
const EDGE = 8;

function show(term) {
  if (!note.isConnected) document.body.append(note);
  note.textContent = term.dataset.meaning;
  // In the top layer, above dialogs.
  note.hidePopover();
  note.showPopover();
  const [word, box] = [term.getClientRects()[0] ?? term.getBoundingClientRect(), note.getBoundingClientRect()];
  const left = Math.max(EDGE, Math.min(word.left, innerWidth - box.width - EDGE));
  const below = word.bottom + EDGE + box.height < innerHeight;
  note.style.left = `${left}px`;
  note.style.top = `${below ? word.bottom + 4 : Math.max(EDGE, word.top - box.height - 4)}px`;
}

const hide = () => note.isConnected && note.hidePopover();

// The oldest browsers that run the lab have no top layer for notes; there the help alone has the terms.
if ("popover" in HTMLElement.prototype) {
  for (const kind of ["pointerover", "click"]) {
    addEventListener(kind, ({ target }) => {
      const term = target instanceof Element ? target.closest("dfn[data-meaning]") : null;
      if (term) show(term);
      else if (target !== note) hide();
    });
  }
  addEventListener("scroll", hide, { capture: true, passive: true });
  addEventListener("keydown", ({ key }) => key === "Escape" && hide());
}
