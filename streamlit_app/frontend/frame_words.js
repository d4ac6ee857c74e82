// Streamlit's own words, which it has in English only, in the language of the session; in English they are left alone.
// Nothing but the exact words of the list is touched, and only where Streamlit itself writes: never a text of the user.

const PLACES = `[data-testid="InputInstructions"], [data-testid="InputInstructions"] *,
  [data-testid="stFileUploaderDropzone"] button *, [data-testid="stFileUploaderDropzoneInstructions"] span,
  [data-testid="stTooltipContent"] *, [data-testid="stSkipToContent"], [data-testid="stStatusWidget"] *,
  [role="listbox"] :not([role="option"], [role="option"] *), [role="menuitem"] *`
// What we draw ourselves holds names that users gave.
const OURS = '[data-testid^="stBidiComponent"], [data-testid="stHtml"], [role="option"]'
const NAMES = ["aria-label", "title", "placeholder"]
const SOON_MS = 60
const watchers = new WeakMap()

export default function (component) {
  const root = component.parentElement
  const { words, patterns } = component.data
  const rules = patterns.map(([english, other]) => [new RegExp(`^${english}$`), other])
  watchers.get(root)?.()
  if (!Object.keys(words).length) return

  const said = text => {
    const bare = text.trim()
    if (Object.hasOwn(words, bare)) return words[bare]
    const rule = rules.find(([english]) => english.test(bare))
    return rule ? bare.replace(rule[0], rule[1]) : null
  }
  const was = []
  let waiting = 0
  const pass = () => {
    waiting = 0
    for (const element of document.querySelectorAll(PLACES)) {
      for (const node of element.childNodes) {
        if (node.nodeType !== Node.TEXT_NODE) continue
        const other = said(node.data)
        if (other === null) continue
        was.push([node, "", node.data, other])
        node.data = other
      }
    }
    for (const name of NAMES) {
      for (const element of document.querySelectorAll(`[${name}]`)) {
        const other = said(element.getAttribute(name))
        if (other === null || element.closest(OURS)) continue
        was.push([element, name, element.getAttribute(name), other])
        element.setAttribute(name, other)
      }
    }
    if (was.length > 2000) was.splice(0, was.length, ...was.filter(([node]) => node.isConnected))
  }
  const watch = new MutationObserver(() => { waiting ||= setTimeout(pass, SOON_MS) })
  watch.observe(document.body, { childList: true, subtree: true, attributes: true, attributeFilter: NAMES })
  const end = () => {
    watch.disconnect()
    clearTimeout(waiting)
    // In English again: what React wrote stands there as React knows it.
    for (const [node, name, text, other] of was) {
      if (name && node.getAttribute(name) === other) node.setAttribute(name, text)
      else if (!name && node.data === other) node.data = text
    }
  }
  watchers.set(root, end)
  pass()
  return end
}
