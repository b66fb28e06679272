"""The style sheet and the script of ``report.html``."""

from __future__ import annotations

from .figures import PALETTE

_DARK = ("#ff7d47", "#5aaeee", "#e0a22e", "#2fc4a0", "#dd86bd", "#8fd0f7", "#a3a3a3")
"""``PALETTE`` for a dark ground, colour by colour."""


def _series(colours: tuple[str, ...]) -> str:
    return "".join(f"--series-{place}:{colour};" for place, colour in enumerate(colours))


STYLE = (
    f"""
:root{{color-scheme:light dark;--ground:#fff;--ink:#1c2024;--soft:#5c646d;--line:#dfe3e8;--tint:#f6f7f9;
--accent:#fdf1ea;{_series(PALETTE)}}}
@media(prefers-color-scheme:dark){{:root{{--ground:#14171a;--ink:#e4e7ea;--soft:#9aa3ad;--line:#31373e;
--tint:#1c2024;--accent:#2e211a;{_series(_DARK)}}}}}
"""
    + """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,
"Helvetica Neue",Arial,sans-serif;overflow-wrap:break-word}
body>*{max-width:74rem;margin-inline:auto;padding-inline:clamp(1rem,3vw,2.5rem)}
header{padding-top:2.5rem}
h1{font-size:clamp(1.5rem,1.1rem + 1.8vw,2.2rem);line-height:1.2;margin:0 0 .6rem;letter-spacing:-.015em;
text-wrap:balance}
h2{font-size:1.35rem;line-height:1.25;margin:3.2rem 0 .4rem;padding-top:1.2rem;border-top:1px solid var(--line)}
h3{font-size:1.02rem;margin:1.8rem 0 .5rem}
p,li{max-width:46rem}
p{margin:.4rem 0 .8rem}
.lead{font-size:1.1rem}
.soft{color:var(--soft);font-size:.9rem}
a{color:inherit;text-decoration-color:var(--soft);text-underline-offset:.2em}
nav ul{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;list-style:none;padding:0;margin:1.2rem 0 0;font-size:.92rem}
dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.3rem 1.4rem;margin:1.2rem 0 0;font-size:.94rem}
dt{color:var(--soft)}
dd{margin:0}
code{font:.88em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
pre{background:var(--tint);border:1px solid var(--line);border-radius:6px;padding:.7rem .9rem;overflow-x:auto;
margin:.4rem 0}
.scroll{container-type:inline-size;overflow-x:auto;margin:.3rem 0 1rem;-webkit-overflow-scrolling:touch}
.scroll:focus-visible,button:focus-visible,summary:focus-visible{outline:2px solid var(--series-1);outline-offset:2px}
table{border-collapse:separate;border-spacing:0;font-size:.92rem;
font-variant-numeric:tabular-nums lining-nums}
caption{text-align:left;white-space:normal;color:var(--soft);font-size:.86rem;padding:0 0 .5rem}
caption div{position:sticky;left:0;max-width:100cqw;width:max-content}
caption b{color:var(--ink);font-size:1.02rem;font-weight:650;display:block}
th,td{padding:.34rem .8rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line)}
thead th{font-weight:600;color:var(--soft);border-bottom:2px solid var(--line);vertical-align:bottom}
th:first-child,.text td,.text th{text-align:left}
th:first-child{position:sticky;left:0;background:var(--ground);z-index:1}
tbody th{font-weight:500}
table.text{min-width:100%}
.text td,.text th{vertical-align:top}
.text td:last-child{white-space:normal;min-width:13rem;width:70%}
.costs th,.costs td{padding-inline:.62rem}
.grid table{font-size:.86rem}
.grid th,.grid td{padding-inline:.55rem}
.grid tbody th small{display:block}
tr.own>*,tr.own>th:first-child{background:var(--accent)}
tr.own th{font-weight:650}
tfoot th,tfoot td{color:var(--soft);border-bottom:0;font-weight:400;font-size:.95em}
tfoot tr:first-child>*{border-top:1px solid var(--soft);color:var(--ink)}
tfoot tr:nth-child(2) td{white-space:normal}
tbody:last-of-type tr:last-child>*{border-bottom-color:transparent}
b,strong{font-weight:700}
u{text-decoration-thickness:1.5px;text-underline-offset:.18em}
small{color:var(--soft);font-size:.84em;margin-left:.4em}
tbody th small{margin-left:0;font-weight:400}
.star{display:inline-block;width:0}
.none{color:var(--soft);font-style:italic}
.sort{all:unset;cursor:pointer;font-weight:600}
.sort:hover{color:var(--ink);text-decoration:underline}
[aria-sort=descending] .sort::after{content:" ↓"}
[aria-sort=ascending] .sort::after{content:" ↑"}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,29rem),1fr));gap:1.2rem 2rem}
.grid>*{min-width:0}
figure{margin:.4rem 0}
figcaption{font-weight:600;font-size:.98rem;margin-bottom:.3rem}
figure svg{display:block;width:100%;height:auto;max-width:40rem;overflow:visible}
svg *{stroke-linejoin:round;stroke-linecap:butt}
svg text{font-family:inherit!important}
[data-row]{transition:opacity .12s}
[data-row].faded{opacity:.1}
.legend{display:flex;flex-wrap:wrap;gap:.3rem .5rem;list-style:none;padding:0;margin:.6rem 0 .8rem;font-size:.9rem}
.legend li{max-width:none}
.legend button{all:unset;display:inline-flex;align-items:center;gap:.45rem;padding:.1rem .5rem;
border-radius:999px;border:1px solid transparent;cursor:pointer}
.legend button:hover{border-color:var(--line)}
.legend button[aria-pressed=true]{border-color:var(--soft);background:var(--tint)}
.legend svg{width:2.1rem;height:auto;flex:none}
details{border-bottom:1px solid var(--line);padding:.45rem 0}
summary{cursor:pointer;font-weight:550}
details .scroll{max-height:28rem;overflow:auto}
ul.notes{padding-left:1.2rem;font-size:.94rem}
.warning{border-left:3px solid var(--series-2);padding-left:.9rem}
footer{padding-block:2.5rem 3rem;color:var(--soft);font-size:.86rem}
@media(max-width:36rem){dl{grid-template-columns:minmax(0,1fr);gap:0}dd{margin-bottom:.5rem}
th,td{padding-inline:.55rem}tbody th small{display:block}
tbody th:first-child{white-space:normal;min-width:6.5rem;max-width:9rem}.text th:first-child{position:static}
h2{margin-top:2.4rem}}
@media print{nav,.legend button[aria-pressed=true]{display:none}.scroll{overflow:visible}}
"""
)

# Two conveniences; without a script the page shows the same. A row of the legend fades the others in every
# picture, and the head of a column of numbers sorts by it, the other way round when pressed again.
SCRIPT = """
"use strict";
const rows = document.querySelectorAll("svg [data-row]");
const names = document.querySelectorAll(".legend button");
for (const name of names) name.addEventListener("click", () => {
  const on = name.getAttribute("aria-pressed") !== "true";
  for (const other of names)
    other.setAttribute("aria-pressed", String(on && other.dataset.row === name.dataset.row));
  for (const row of rows) row.classList.toggle("faded", on && row.dataset.row !== name.dataset.row);
});
for (const head of document.querySelectorAll("table.sortable thead th:not(:first-child)")) {
  const button = document.createElement("button");
  button.className = "sort";
  button.append(...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => {
    const way = head.ariaSort === "descending" ? 1 : -1;
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", way < 0 ? "descending" : "ascending");
    const body = head.closest("table").tBodies[0];
    const number = row => row.children[head.cellIndex].dataset.value;
    const key = row => number(row) === undefined ? -Infinity : way * Number(number(row));
    const missing = row => number(row) === undefined ? 1 : 0;
    body.append(...[...body.rows].sort((a, b) => missing(a) - missing(b) || key(a) - key(b) || 0));
  });
}
"""
