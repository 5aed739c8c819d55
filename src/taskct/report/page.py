"""The page around the content: one HTML file, no script, nothing loaded from anywhere.

Colours are variables with a light and a dark value each, whose contrast is that of WCAG AA or more; print is light. Figures
keep a white ground in both.
"""

from __future__ import annotations

from html import escape

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_STYLE = """
:root { color-scheme: light; --paper: #fff; --ink: #1a1a1a; --soft: #555; --line: #c9c9c9; --hair: #e4e4e4; --pale: #f4f5f6;
  --accent: #0b4f7d; --warn: #7a3b00; }
@media screen and (prefers-color-scheme: dark) {
  :root { color-scheme: dark; --paper: #15181b; --ink: #e9e9e6; --soft: #b3b8bd; --line: #565d64; --hair: #33393f;
    --pale: #20252a; --accent: #86c5f2; --warn: #f2b778; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1120px; padding: 2.2rem 2rem 4rem; color: var(--ink); background: var(--paper);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "Liberation Sans", "DejaVu Sans", Arial, sans-serif; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .3rem; letter-spacing: -.01em; }
h2 { font-size: 1.22rem; margin: 2.6rem 0 .8rem; padding-top: .7rem; border-top: 2px solid var(--ink); }
h3 { font-size: 1.02rem; margin: 1.6rem 0 .5rem; }
h4 { font-size: .92rem; margin: 1.3rem 0 .35rem; font-weight: 600; }
p { margin: .4rem 0; max-width: 62rem; }
.lead { color: var(--soft); margin-bottom: 1.4rem; }
.verdict { border-left: 4px solid var(--accent); background: var(--pale); padding: .9rem 1.2rem; }
.verdict p { margin: .45rem 0; }
.verdict p:first-child { font-size: 1.08rem; font-weight: 600; }
.caution, .verdict .caution { color: var(--warn); }
.unfinished { border: 2px solid var(--warn); color: var(--warn); font-weight: 600; padding: .5rem .8rem; }
.answer { font-size: 1.2rem; line-height: 1.4; font-weight: 600; margin: .6rem 0; padding-left: .9rem;
  border-left: 4px solid var(--accent); }
.but { padding-left: calc(.9rem + 4px); margin: .4rem 0; }
.but + :not(.but) { margin-top: .8rem; }
.row { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.4rem, 1fr)); gap: .5rem .7rem; margin: .5rem 0 .3rem; }
.row figure { max-width: 15rem; }
.row figcaption { line-height: 1.3; margin-top: .2rem; }
.row.zoomed { display: flex; flex-wrap: wrap; }
.row.zoomed figure { flex: 1 1 9.4rem; max-width: 11.5rem; }
.row img { display: block; width: 100%; height: auto; background: #000; }
.row.zoomed .near { margin-top: 3px; }
.minus { display: none; }
.switched > input { accent-color: var(--accent); vertical-align: -.1em; margin: 0 .5rem 0 0; width: 1rem; height: 1rem; }
.switched > label { font-size: .88rem; cursor: pointer; }
@media screen {
  .switched > input:checked ~ * .plain { display: none; }
  .switched > input:checked ~ .row .minus { display: block; }
  .switched > input:checked ~ .key .minus { display: inline; }
}
img.near { image-rendering: pixelated; background: #000; }
.swatch { display: inline-block; width: .85em; height: .85em; border: 2px solid; background: #2b2b2b; vertical-align: -.1em; }
.key, figcaption, caption, .note { color: var(--soft); font-size: .84rem; }
.jump { white-space: nowrap; }
nav { font-size: .86rem; margin: 1rem 0 1.2rem; }
nav a { display: inline-block; margin-right: 1.1rem; color: var(--accent); }
a { color: var(--accent); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: 0 0 .35rem; caption-side: top; }
caption b { color: var(--ink); }
.numbers { margin: 1rem 0 1.4rem; font-size: .92rem; }
.numbers th { font-weight: 600; }
.numbers thead th { border-bottom: 1.5px solid var(--ink); padding: .25rem .5rem; text-align: right; vertical-align: bottom;
  white-space: nowrap; }
.numbers tbody th { text-align: left; padding: .3rem .9rem .3rem 0; font-weight: 500; vertical-align: top; }
.numbers td { text-align: right; padding: .3rem .5rem; vertical-align: top; white-space: nowrap; }
.numbers tbody tr { border-bottom: 1px solid var(--hair); }
.numbers small { display: block; color: var(--soft); font-weight: 400; font-size: .75rem; line-height: 1.25; }
.numbers .text { text-align: left; white-space: normal; overflow-wrap: anywhere; }
.numbers thead th:first-child { padding-left: 0; text-align: left; }
.numbers tbody th[colspan] { font-weight: 600; padding-top: .6rem; }
.first-table { font-size: .88rem; margin: .6rem 0 .5rem; }
.first-table td, .first-table thead th { padding: .2rem .8rem; white-space: nowrap; }
.first-table tbody th { padding: .2rem .8rem .2rem 0; }
.first-table .text { text-align: left; white-space: normal; }
.first-table small { display: inline; margin-left: .5rem; }
.first-table small.under { display: block; margin: 0; }
h1 + .verdict { margin-top: 1rem; }
.fold { border-top: 1px solid var(--line); }
.fold > summary { cursor: pointer; padding: .55rem 0; }
.fold > summary h2 { display: inline; font-size: 1.02rem; border: 0; margin: 0; padding: 0; }
.fold > summary small { color: var(--soft); margin-left: .6rem; }
.fold > div { scroll-margin-top: 3rem; padding-bottom: 1.2rem; }
.dense { font-size: .82rem; }
.dense td, .dense thead th, .dense tbody th { padding: .2rem .38rem; }
.dense thead th { white-space: normal; }
.dense tbody th { padding-left: 0; white-space: normal; }
.dense thead th[colspan] { text-align: center; }
.dense tbody th.method { min-width: 12rem; }
.dense .first { border-left: 1px solid var(--line); }
.wide { overflow-x: auto; }
.wide caption { max-width: min(60rem, 92vw); }
.pair { display: flex; flex-wrap: wrap; gap: 0 2.4rem; align-items: flex-start; }
.pair > .scroll { flex: 1 1 29rem; max-width: 32rem; min-width: 0; }
.pair table { width: 100%; }
.scroll { overflow-x: auto; }
.pair td, .pair thead th { padding-left: .3rem; padding-right: .3rem; }
.pair tbody th { min-width: 5.6rem; overflow-wrap: anywhere; }
.pair table.narrow { width: 14rem; }
figure { margin: 0; }
.plot { margin: 1rem 0; }
img[src^="data:image/svg"] { max-width: 100%; background: #fff; }
.plot img { width: 100%; max-width: 1050px; height: auto; }
.plot.small img { max-width: 820px; }
figure.two { display: grid; grid-template-columns: minmax(0, 4fr) minmax(0, 3fr); gap: .4rem; max-width: 1000px; }
.two figcaption { grid-column: 1 / -1; }
.drawing img { width: 100%; max-width: 760px; height: auto; }
.pictures { width: 100%; table-layout: fixed; margin: .3rem 0 .8rem; }
.pictures col.dose { width: 2.1rem; }
.pictures th { font-size: .84rem; font-weight: 600; padding: 0 0 .2rem; overflow-wrap: anywhere; vertical-align: bottom; }
.pictures td { padding: 2px; vertical-align: top; }
.pictures td.truth { padding-right: .6rem; }
.pictures .dose { vertical-align: middle; padding: 0; }
.pictures .dose span { writing-mode: vertical-rl; transform: rotate(180deg); white-space: nowrap; }
.pictures figcaption { text-align: center; font-size: .78rem; line-height: 1.3; }
.pictures img { display: block; width: 100%; height: auto; background: #000; }
.pictures img.near { image-rendering: pixelated; }
.marked { position: relative; }
.marked svg { position: absolute; inset: 0; width: 100%; height: 100%; }
.marked rect { fill: none; stroke: #ffd000; stroke-width: 1.5; }
.marked line { stroke: #ffd000; stroke-width: 1; stroke-dasharray: 4 3; }
dl { display: grid; grid-template-columns: minmax(8rem, 15rem) 1fr; gap: .25rem 1.4rem; margin: .4rem 0 1rem;
  font-size: .88rem; }
dt { font-weight: 600; overflow-wrap: anywhere; }
dl.words { display: block; columns: 2; column-gap: 2rem; font-size: .8rem; line-height: 1.4; color: var(--soft);
  margin: .7rem 0; }
.words dt { display: inline; color: var(--ink); }
.words dt::after { content: ": "; }
.words dd { display: inline; }
.words div { break-inside: avoid; }
dd { margin: 0; overflow-wrap: anywhere; }
footer { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: .6rem; font-size: .82rem; color: var(--soft); }
@media (max-width: 700px) {
  body { padding: 1rem; overflow-wrap: break-word; }
  dl { grid-template-columns: 1fr; }
  dd { margin-bottom: .5rem; }
  dl.words { columns: 1; }
  .numbers { font-size: .8rem; }
  .numbers small { font-size: .68rem; white-space: normal; }
  .numbers td, .numbers thead th { padding-left: .15rem; padding-right: .15rem; }
  .numbers tbody th { padding-right: .3rem; }
  .pair tbody th { min-width: 3.4rem; }
  .pair > .scroll { flex-basis: 100%; }
  .dense tbody th, .numbers .text { min-width: 5.5rem; }
  .dense tbody th.method { min-width: 7.5rem; }
  .numbers td.text:last-child { min-width: 14rem; }
  .answer { font-size: 1.05rem; }
  .row.zoomed { display: grid; }
  .row figure, .row.zoomed figure { max-width: none; }
  .first-table { font-size: .78rem; width: 100%; }
  .first-table td, .first-table thead th { padding: .2rem .18rem; white-space: normal; }
  .first-table tbody th { padding-right: .25rem; min-width: 4.6rem; overflow-wrap: break-word; }
  .first-table small { display: block; margin: 0; }
  .first-table td.text:last-child, .first-table .text { min-width: 0; overflow-wrap: normal; }
  .plot, .slice { overflow-x: auto; }
  .plot img, .pictures { min-width: 40rem; }
  figure.two { grid-template-columns: minmax(0, 1fr); }
  .two img, .fits img, .fits .pictures { min-width: 0; }
}
@media print {
  @page { size: A4; margin: 14mm; }
  body { max-width: none; padding: 0; font-size: 9.5pt; }
  .row.zoomed { display: flex; flex-wrap: nowrap; }
  .row.zoomed figure { flex-basis: 0; min-width: 0; }
  nav, .jump, .switched > input, .switched > label { display: none; }
  .verdict { background: none; }
  details::details-content { content-visibility: visible; block-size: auto; }
  summary { list-style: none; }
  h2 { break-after: avoid; }
  h3, h4 { break-after: avoid; }
  figure, tr, .verdict, .plot { break-inside: avoid; }
  .wide { overflow: visible; }
  .dense { font-size: 7pt; }
  .dense tbody th.method { min-width: 0; }
  a { color: inherit; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""


def page(title: str, body: str) -> str:
    """A whole HTML document; `title` is escaped here, `body` must be safe already."""
    return (
        "<!DOCTYPE html>\n"
        '<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def section(anchor: str, heading: str, content: str) -> str:
    """A headed part of the page; '' when there is no content."""
    return f'<section id="{anchor}"><h2>{escape(heading)}</h2>{content}</section>\n' if content else ""
