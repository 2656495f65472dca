// All of the portal's own behaviour in the browser. Pages work without it: it adds speed, never rights.
(() => {
  "use strict";
  const one = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const root = document.documentElement;
  const say = (text) => { const live = one("#live"); if (live) live.textContent = text; };
  const typing = (target) => target.closest("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");

  // Theme: the server reads the cookie, so the next page arrives in the right colours.
  const setTheme = (theme) => {
    if (theme === "system") delete root.dataset.theme; else root.dataset.theme = theme;
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `theme=${theme}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
    all("[data-set-theme]").forEach((b) => b.setAttribute("aria-pressed", String(b.dataset.setTheme === theme)));
  };

  const copy = async (button) => {
    const source = one(button.dataset.copy);
    try {
      await navigator.clipboard.writeText((source.value ?? source.textContent).trim());
      say("Copied to the clipboard");
    } catch {
      getSelection().selectAllChildren(source); // no clipboard without HTTPS: leave it selected for Ctrl-C
      say("Selected: press Ctrl-C to copy");
    }
    const label = one("span", button);
    if (label) { label.textContent = "Copied"; setTimeout(() => { label.textContent = "Copy"; }, 1600); }
  };

  const openDialog = (dialog) => {
    if (!dialog || dialog.open) return;
    dialog.showModal();
    (one("[autofocus]", dialog) ?? one("input:not([type=hidden]), select, textarea, button", dialog))?.focus();
  };

  // Palette: a combobox whose options the server finds.
  const palette = one("#palette");
  const field = palette && one("input", palette);
  let answered = null; // the words that the options on show were found for
  let following = false; // Enter was pressed before the options for the words in the field were there
  const options = () => all("[role=option]", palette);
  const choose = (index) => {
    const found = options();
    found.forEach((option, at) => option.setAttribute("aria-selected", String(at === index)));
    if (found[index]) {
      field.setAttribute("aria-activedescendant", found[index].id);
      found[index].scrollIntoView({ block: "nearest" });
    } else field.removeAttribute("aria-activedescendant");
  };
  const openPalette = () => {
    if (!palette || palette.open) return;
    openDialog(palette);
    field.select();
    field.dispatchEvent(new Event("search", { bubbles: true }));
  };
  field?.addEventListener("keydown", (event) => {
    const found = options();
    const at = found.findIndex((option) => option.getAttribute("aria-selected") === "true");
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && found.length) { event.preventDefault(); choose((at + step + found.length) % found.length); }
    following = event.key === "Enter" && answered !== field.value;
    if (event.key === "Enter") {
      event.preventDefault();
      if (!following) (found[at] ?? found[0])?.click();
    }
  });
  const showAnswer = (words) => {
    answered = words;
    choose(options().length ? 0 : -1);
    if (following && answered === field.value) { following = false; options()[0]?.click(); }
  };

  // Lists: j and k walk the rows, Enter follows the focused link as it always does.
  const walk = (step) => {
    const links = all("main a.open").filter((link) => link.offsetParent !== null);
    if (!links.length) return;
    const at = links.indexOf(document.activeElement);
    const next = links[at < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(Math.max(at + step, 0), links.length - 1)];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  };

  let jump = 0; // when `g` was last pressed
  const keys = {
    "/": () => (one("main [data-find]") ?? { focus: openPalette }).focus(),
    "?": () => openDialog(one("#keys")),
    j: () => walk(1),
    k: () => walk(-1),
    e: () => one("[data-export]")?.click(),
  };
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") { event.preventDefault(); openPalette(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || one("dialog[open]")) return;
    if (Date.now() - jump < 1200) {
      const link = one(`[data-jump="${CSS.escape(event.key)}"]`);
      jump = 0;
      if (link) { event.preventDefault(); location.assign(link.href); return; }
    }
    if (event.key === "g") { jump = Date.now(); return; }
    const act = keys[event.key];
    if (act) { event.preventDefault(); act(); }
  });

  document.addEventListener("click", (event) => {
    const at = (selector) => event.target.closest(selector);
    const theme = at("[data-set-theme]");
    if (theme) setTheme(theme.dataset.setTheme);
    const copier = at("[data-copy]");
    if (copier) copy(copier);
    if (at("[data-palette]")) openPalette();
    const opener = at("[data-dialog]");
    if (opener && !opener.command) openDialog(one(opener.dataset.dialog)); // a browser that knows commands does it itself
    const closer = at("[data-close]");
    if (closer && !closer.command) closer.closest("dialog, .notice")?.[closer.closest("dialog") ? "close" : "remove"]();
    if (event.target instanceof HTMLDialogElement) event.target.close(); // the backdrop belongs to the dialog
    all("details.facet[open]").forEach((facet) => { if (!facet.contains(event.target)) facet.open = false; });
  });
  document.addEventListener("keydown", (event) => {
    const facet = event.key === "Escape" && event.target.closest?.("details.facet[open]");
    if (facet) { facet.open = false; one("summary", facet).focus(); }
  });

  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !confirm(question)) event.preventDefault();
    if (!event.defaultPrevented) event.target.dataset.sent = "";
  });

  // What is typed as a secret goes with the act itself, never with a save on the way to it.
  document.addEventListener("htmx:configRequest", (event) => {
    const form = event.target.closest("form");
    if (!form) return;
    all("input[type=password]", form).forEach((secret) => { delete event.detail.parameters[secret.name]; });
    if (form !== event.target && "sent" in form.dataset) event.preventDefault(); // the whole form is on its way already
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (palette?.contains(event.target)) showAnswer(event.detail.requestConfig.parameters.q);
    else openDialog(event.target.closest("dialog"));
  });
  // A refusal is a page of its own or a fragment for the same place: it is always shown, never swallowed.
  document.addEventListener("htmx:beforeSwap", (event) => {
    if ([403, 404, 409, 412, 422, 429, 503].includes(event.detail.xhr.status)) event.detail.shouldSwap = true;
  });
  document.addEventListener("htmx:sendError", () => say("The portal did not answer. Nothing was changed."));
  all("dialog[data-open]").forEach(openDialog);
})();
