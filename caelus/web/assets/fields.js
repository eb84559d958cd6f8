// Passwords: shown and hidden, and made by the browser; groups that open for what is wrong in
// them. All else works without JavaScript.
"use strict";

(() => {
  const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

  const random = (length) => {
    let text = "";
    while (text.length < length) {
      const [byte] = crypto.getRandomValues(new Uint8Array(1));
      // What is beyond the last whole round would make the first letters likelier.
      if (byte < 256 - (256 % LETTERS.length)) text += LETTERS[byte % LETTERS.length];
    }
    return text;
  };

  const show = (input, shown) => {
    input.type = shown ? "text" : "password";
    const button = document.querySelector(`[data-reveal="${CSS.escape(input.id)}"]`);
    button.setAttribute("aria-pressed", String(shown));
    button.textContent = shown ? "Hide" : "Show";
  };

  const generate = (input, length) => {
    input.value = random(length);
    show(input, true);
    input.dispatchEvent(new Event("input", { bubbles: true }));
    input.dispatchEvent(new Event("change", { bubbles: true }));
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-reveal], [data-generate]");
    if (!button) return;
    const input = document.getElementById(button.dataset.reveal ?? button.dataset.generate);
    if (button.dataset.generate === undefined) show(input, input.type === "password");
    else generate(input, Number(button.dataset.length));
  });

  // What is shown is not to be kept by the browser as an ordinary text.
  document.addEventListener("submit", (event) => {
    for (const button of event.target.querySelectorAll("[data-reveal]")) {
      show(document.getElementById(button.dataset.reveal), false);
    }
  });

  // In a closed group the browser could not say what it has against a field, and would do nothing.
  const open = (field) => {
    const group = field?.closest("details");
    if (!group) return;
    group.open = true;
    open(group.parentElement);
  };
  document.addEventListener("invalid", (event) => open(event.target), true);

  const unhide = (root) => {
    for (const button of root.querySelectorAll("[data-reveal], [data-generate]")) {
      button.hidden = false;
    }
  };

  unhide(document);
  document.addEventListener("htmx:load", (event) => unhide(event.target));
})();
