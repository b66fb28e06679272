// Three conveniences; without a script the page shows the same.
"use strict";

// A name of the legend fades all other variants in every picture.
const drawn = document.querySelectorAll("svg [data-variant]");
const names = document.querySelectorAll(".legend button");
for (const name of names) {
  name.addEventListener("click", () => {
    const alone = name.getAttribute("aria-pressed") !== "true";
    for (const other of names) other.setAttribute("aria-pressed", String(alone && other === name));
    for (const part of drawn) {
      part.classList.toggle("faded", alone && part.dataset.variant !== name.dataset.variant);
    }
  });
}

// The head of a column of numbers sorts by it, the other way round when pressed again. What has no number stays
// below, and so do the published numbers, whose body is another.
const numberOf = (row, column) => row.children[column].dataset.value;

function sort(head) {
  const way = head.ariaSort === "descending" ? 1 : -1;
  for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", way < 0 ? "descending" : "ascending");
  const body = head.closest("table").tBodies[0];
  const known = row => numberOf(row, head.cellIndex) !== undefined;
  const key = row => (known(row) ? way * Number(numberOf(row, head.cellIndex)) : 0);
  body.append(...[...body.rows].sort((a, b) => known(b) - known(a) || key(a) - key(b)));
}

for (const head of document.querySelectorAll("table.sortable thead th:not(:first-child)")) {
  const button = document.createElement("button");
  button.className = "sort";
  button.append(...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => sort(head));
}

// A table that is wider than its box says so.
function hint() {
  for (const box of document.querySelectorAll(".scroll")) {
    box.previousElementSibling.hidden = box.scrollWidth <= box.clientWidth + 1;
  }
}

hint();
window.addEventListener("resize", hint);
for (const folded of document.querySelectorAll("details")) folded.addEventListener("toggle", hint);
