"""Demands on every page of ours in a browser."""

from __future__ import annotations

from tests.html.browser import Tab

CONTRAST = 4.5
"""WCAG 2.2, success criterion 1.4.3 (AA), of text against its ground."""

# Luminance and ratio by WCAG's definitions; grounds that let others through are laid over them.
_CONTRASTS = """
(() => {
  const parse = (text) => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    return { rgb: [r, g, b], a };
  };
  const over = (top, low) => top.rgb.map((v, n) => v * top.a + low[n] * (1 - top.a));
  const ground = (part) => {
    if (!part) return [255, 255, 255];
    const own = parse(getComputedStyle(part).backgroundColor);
    return own.a === 1 ? own.rgb : over(own, ground(part.parentElement));
  };
  const light = (rgb) => rgb
    .map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const part = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !part.checkVisibility()) continue;
    const low = ground(part), high = over(parse(getComputedStyle(part).color), low);
    const [dim, bright] = [light(low), light(high)].sort((one, two) => one - two);
    found.push([(bright + 0.05) / (dim + 0.05), texts.currentNode.data.trim().slice(0, 40)]);
  }
  return found;
})()
"""


def check_contrast(tab: Tab, fewest: int = 21) -> None:
    """Every text, of at least so many, stands out from its ground."""
    found = tab.value(_CONTRASTS)
    assert len(found) >= fewest
    assert [one for one in found if one[0] < CONTRAST] == []


def check_width(tab: Tab) -> None:
    """The page needs no scrolling to the side."""
    assert tab.value("document.documentElement.scrollWidth <= innerWidth")


def check_unscripted(tab: Tab) -> None:
    """Without its script a page shows nothing that only the script makes work.

    What works by itself: players, links to parts of the page, and parts to unfold.
    """
    shown = tab.value(
        "[...document.querySelectorAll('input, button, select, output, a[data-time][href]')]"
        ".filter((part) => part.checkVisibility())"
        ".map((part) => part.outerHTML.slice(0, 80))"
    )
    assert shown == []
    assert not tab.value("document.documentElement.classList.contains('js')")
    missing = tab.value(
        "[...document.querySelectorAll('a[href]')].map((part) => part.getAttribute('href'))"
        ".filter((to) => to.startsWith('#') && !document.getElementById(to.slice(1)))"
    )
    assert missing == []
