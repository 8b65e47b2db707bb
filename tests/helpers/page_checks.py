"""What holds of any page that this project makes, as a browser sees it."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from browser import Browser

PHONE, DESK = 400, 1280
UPRIGHT, ACROSS = 717, 960
"""Widths in CSS pixels: of a phone, of a desk's window; of what is printed on an upright sheet, or across it. The
smaller of A4's and Letter's count."""

WHITE = ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)")
PICTURES = (
    "[...document.images].filter(i => !(i.complete && i.naturalWidth > 0)).map(i => i.src.slice(0, 200))"
)
LINKS = "[...document.querySelectorAll('a[href]')].map(a => [a.getAttribute('href'), a.href])"
IDS = "[...document.querySelectorAll('[id]')].map(e => e.id)"
# What is wider than the window, with nothing around it that scrolls.
TOO_WIDE = """
(() => {
  const scrolls = e => e && e !== document.body && e !== document.documentElement &&
    (/auto|scroll|hidden|clip/.test(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
  return [...document.body.querySelectorAll('*')]
    .filter(e => e.getClientRects().length && e.getBoundingClientRect().right > innerWidth + 1)
    .filter(e => !scrolls(e.parentElement) && !scrolls(e))
    .map(e => `${e.tagName} ${e.id} ${e.className} to ${e.getBoundingClientRect().right}: ${e.textContent.slice(0, 60)}`);
})()
"""
CUT = """
[...document.querySelectorAll('main table, main pre, main img, article table, article pre, article img')]
  .filter(e => e.getClientRects().length && e.getBoundingClientRect().right > innerWidth + 1)
  .map(e => `${e.tagName} ${e.id} to ${e.getBoundingClientRect().right}: ${e.textContent.slice(0, 60)}`)
"""
# Texts whose contrast with what lies behind them is below that of WCAG 2.2, success criterion 1.4.3.
FAINT = """
(() => {
  const pen = Object.assign(document.createElement('canvas'), {width: 1, height: 1})
    .getContext('2d', {willReadFrequently: true});
  const rgba = colour => {
    pen.clearRect(0, 0, 1, 1); pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data];
  };
  const over = (top, below) => [0, 1, 2].map(i => (top[i] * top[3] + below[i] * (255 - top[3])) / 255).concat(255);
  const behind = e => {
    if (!e) return [255, 255, 255, 255];
    const own = rgba(getComputedStyle(e).backgroundColor);
    return own[3] === 255 ? own : over(own, behind(e.parentElement));
  };
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const found = new Set();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const e = node.parentElement;
    if (!node.textContent.trim() || !e.checkVisibility({visibilityProperty: true, opacityProperty: true})) continue;
    if (!e.getBoundingClientRect().width || e.closest('svg, script, style, noscript')) continue;
    const style = getComputedStyle(e), ground = behind(e), size = parseFloat(style.fontSize);
    const [a, b] = [light(over(rgba(style.color), ground)), light(ground)].sort((x, y) => y - x);
    const wanted = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < wanted) found.add(`${ratio.toFixed(2)} ${e.tagName}.${e.className}: ${node.textContent.trim().slice(0, 50)}`);
  }
  return [...found];
})()
"""


class _Ids(HTMLParser):
    """The ids and names of a file's elements."""

    def __init__(self, html: str):
        super().__init__()
        self.found: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {value for name, value in attrs if name in ("id", "name") and value}


def faults(
    browser: Browser, page: Path, sheet: int = UPRIGHT, served: tuple[str, Path] | None = None
) -> list[str]:
    """What is wrong with ``page``: what goes wrong as it loads, pictures that do not show, links that lead nowhere,
    and what cannot be read on a phone, in the dark or on paper.

    ``served``: the address and the folder of a server that has it.
    """
    browser.show_as("screen", "light")
    browser.resize(DESK)
    address = f"{served[0]}/{page.relative_to(served[1])}" if served else page.resolve().as_uri()
    browser.open(address)
    found = [f"console: {told}" for told in browser.complaints]
    found += [f"no picture: {source}" for source in browser.run(PICTURES)]
    found += [f"leads nowhere: {link}" for link in _broken_links(browser, page, served)]
    found += [f"faint: {text}" for text in browser.run(FAINT)]
    browser.resize(PHONE)
    found += [f"too wide for a phone: {what}" for what in browser.run(TOO_WIDE)]
    if (width := browser.run("document.documentElement.scrollWidth")) > PHONE:
        found.append(f"a phone would have to scroll to {width} pixels")
    browser.resize(DESK)
    # Loaded anew: pages may choose their colours when they begin.
    browser.show_as("screen", "dark")
    browser.open(address)
    found += [f"console in the dark: {told}" for told in browser.complaints]
    found += [f"faint in the dark: {text}" for text in browser.run(FAINT)]
    browser.resize(sheet)
    browser.show_as("print", "dark")
    found += [f"faint in print: {text}" for text in browser.run(FAINT)]
    found += [f"cut in print: {what}" for what in browser.run(CUT)]
    if (ground := browser.run("getComputedStyle(document.body).backgroundColor")) not in WHITE:
        found.append(f"printed on {ground}")
    return found


def _broken_links(browser: Browser, page: Path, served: tuple[str, Path] | None) -> list[str]:
    """Links to files and parts of pages that are not there; those to other hosts are not followed."""
    broken, ids = [], set(browser.run(IDS))
    for written, address in browser.run(LINKS):
        target, fragment = _file_of(address, served), unquote(urlsplit(address).fragment)
        if target is None:
            continue
        if target.resolve() == page.resolve():
            there = not fragment or fragment in ids
        else:
            there = target.is_file() and (not fragment or fragment in _Ids(target.read_text()).found)
        if not there:
            broken.append(written)
    return broken


def _file_of(address: str, served: tuple[str, Path] | None) -> Path | None:
    """What an address leads to, if that is a file or served here."""
    parts = urlsplit(address)
    if parts.scheme == "file":
        target = Path(unquote(parts.path))
    elif served and address.startswith(f"{served[0]}/"):
        target = served[1] / unquote(parts.path).lstrip("/")
    else:
        return None
    return target / "index.html" if target.is_dir() else target
