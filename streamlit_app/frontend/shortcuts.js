// Keys of the whole desk. None of them acts while somebody types, chooses in a list or is in a dialog.
// G begins a way of two keys to another page; until the second comes, no other part of the desk hears a key.

const SECOND_MS = 1500
const FIELDS = "input, textarea, select, [contenteditable=true], [role=textbox], [role=combobox], [role=listbox], [role=dialog], canvas"

const listeners = new WeakMap()

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const old = listeners.get(parentElement)
  if (old) window.removeEventListener("keydown", old, true)
  let waiting = 0

  const onkey = event => {
    if (event.isComposing || event.keyCode === 229) return
    const target = event.composedPath()[0]
    if (target instanceof Element && target.closest(FIELDS)) return
    const run = chosen(event)
    if (!run) return
    event.preventDefault()
    event.stopImmediatePropagation()
    run()
  }

  function chosen(event) {
    const second = waiting > Date.now()
    if (event.ctrlKey || event.metaKey) return null
    if (event.altKey) return event.code === "KeyL" && !event.shiftKey ? () => setTriggerValue("pressed", "language") : null
    if (second && event.key.length === 1) {
      waiting = 0
      const page = data.pages[event.key.toLowerCase()]
      return () => page && open(page)
    }
    waiting = 0
    if (event.key === "g") return () => { waiting = Date.now() + SECOND_MS }
    if (event.key === "?" || event.key === "？") return () => setTriggerValue("pressed", "help")
    if (event.key === "/" || event.key === "、") return () => search()
    return null
  }

  // The link of the menu, where it is there: the browser then knows of the change before the server does.
  function open(page) {
    const names = link => new URL(link.href).pathname.replace(/\/+$/, "").split("/").pop()
    const links = [...document.querySelectorAll('[data-testid="stSidebarNavLink"]')]
    const link = links.find(one => names(one) === page)
    if (link) link.click()
    else setTriggerValue("pressed", page)
  }

  listeners.set(parentElement, onkey)
  window.addEventListener("keydown", onkey, true)
  return () => window.removeEventListener("keydown", onkey, true)
}

// The search field of the page, else its first field for text.
function search() {
  const main = document.querySelector('[data-testid="stMain"]') ?? document
  const field = main.querySelector('[class*="st-key-"][class*="search"] input') ?? main.querySelector("input[type=text]:not([role=combobox]), input[type=search], textarea")
  field?.focus()
  field?.select?.()
}
