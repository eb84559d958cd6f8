// What the pages do beyond HTML and htmx: times in the reader's zone, buttons that copy, no swap of
// what is the same.
"use strict";

const exact = new Intl.DateTimeFormat(undefined, {dateStyle: "medium", timeStyle: "short"});
const two = "2-digit";  // always as wide: lines of a log stand below each other
const clock = new Intl.DateTimeFormat(undefined, {hour: two, minute: two, second: two, hourCycle: "h23"});

function localise(root) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const text = exact.format(new Date(element.dateTime));
    if (element.matches(".age, .clock")) element.title = text;
    if (element.matches(".clock")) element.textContent = clock.format(new Date(element.dateTime));
    else if (!element.matches(".age")) element.textContent = text;
  }
  for (const element of root.querySelectorAll(".zone")) element.textContent = "your time zone";
}

document.addEventListener("DOMContentLoaded", () => {
  localise(document);
  for (const element of document.querySelectorAll("[data-needs-script]")) element.hidden = false;
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copies]");
  if (!button) return;
  document.getElementById(button.dataset.copies).select();
  // Not navigator.clipboard, which is there over https alone.
  if (document.execCommand("copy")) button.textContent = "Copied";
});
document.addEventListener("htmx:afterSettle", (event) => localise(event.target));

function sessionIsOver(target) {
  // What is typed in a form is not thrown away; a part that polls is not to ask for ever.
  last.delete(target.id);
  if (!target.closest("form")) location.reload();
  else target.textContent = "You are logged out. Log in in another tab, then go on here.";
}

// A part that is asked for again and again is left alone while it says the same:
// what is open stays open, and screen readers are not told anew.
const last = new Map();  // by id: what replaces an element has its id
document.addEventListener("htmx:beforeSwap", (event) => {
  const {target, serverResponse, xhr} = event.detail;
  if (xhr.status === 401) sessionIsOver(target);
  if (xhr.status >= 400) {
    // The sentence of a refusal is for the reader, too, where a part is made for it.
    event.detail.shouldSwap = target.hasAttribute("data-shows-errors");
    return;
  }
  if (!target.id) return;
  if (last.get(target.id) === serverResponse) event.detail.shouldSwap = false;
  last.set(target.id, serverResponse);
});

// What stands there while nobody answers may be true no more.
document.addEventListener("htmx:afterRequest", ({detail}) => {
  const note = document.getElementById("away");
  if (note) note.hidden = detail.xhr.status > 0 && detail.xhr.status < 500;
});

// A second click on a button does not send its form again, to be refused for what the first did.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
  setTimeout(() => delete form.dataset.sent, 2000);
});

// What has changed in how an app stands has changed what runs of it, too.
document.addEventListener("htmx:afterSettle", (event) => {
  if (event.target.id === "live") htmx.trigger(document.body, "news");
});

// A file that the server would refuse is told of before it is sent.
document.addEventListener("change", (event) => {
  const {files, dataset, type} = event.target;
  if (type !== "file" || !dataset.most) return;
  const large = files.length && files[0].size > Number(dataset.most);
  const kib = (bytes) => Math.ceil(bytes / 1024);
  event.target.setCustomValidity(
    large ? `This file has ${kib(files[0].size)} KiB; choose one of at most ${kib(dataset.most)} KiB.` : "");
  event.target.reportValidity();
});
