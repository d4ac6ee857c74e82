// A text whose words are marked by pressing them or by selecting text with the mouse. Texts are set with textContent.
// Offsets towards Python are code points; the browser counts UTF-16 units.

const points = text => { let n = 0; for (const _ of text) n += 1; return n }

export default function (component) {
  const root = component.parentElement.querySelector(".rexm")
  const data = component.data
  const send = mark => component.setTriggerValue("mark", mark)
  root.setAttribute("aria-label", data.label)
  root.replaceChildren(...data.pieces.map(piece => draw(piece, data, send)))
  root.onmouseup = () => {
    const chosen = selected(root)
    if (chosen) send({ ...chosen, kind: data.mode, on: true })
  }
}

function draw(piece, data, send) {
  const element = document.createElement("span")
  element.dataset.start = piece.start
  element.textContent = piece.text
  if (!piece.kind) return element
  element.className = `${piece.kind} ${piece.on ? "on" : "off"}`
  element.setAttribute("role", "button")
  element.setAttribute("aria-pressed", piece.on)
  element.setAttribute("aria-label", `${piece.text} ${data.names[piece.kind]}`)
  element.title = data.names[piece.kind]
  element.tabIndex = 0
  const turn = () => send({ start: piece.start, end: piece.start + points(piece.text), kind: piece.kind, on: !piece.on })
  element.onclick = () => { if (document.getSelection().isCollapsed) turn() }
  element.onkeydown = event => {
    if (event.key !== "Enter" && event.key !== " ") return
    event.preventDefault()
    turn()
  }
  return element
}

// Start and end of the selected text without the spaces at its borders; null when nothing is selected in here.
function selected(root) {
  const selection = document.getSelection()
  if (!selection || selection.isCollapsed) return null
  const range = selection.getRangeAt(0)
  if (!root.contains(range.startContainer) || !root.contains(range.endContainer)) return null
  const text = range.toString()
  const start = place(root, range.startContainer, range.startOffset) + points(text) - points(text.trimStart())
  const end = start + points(text.trim())
  selection.removeAllRanges()
  return end > start ? { start, end } : null
}

function place(root, node, offset) {
  if (node.nodeType === Node.TEXT_NODE) {
    return Number(node.parentElement.dataset.start) + points(node.data.slice(0, offset))
  }
  const next = node.childNodes[offset]
  if (next && next.dataset) return Number(next.dataset.start)
  const last = root.lastElementChild
  return Number(last.dataset.start) + points(last.textContent)
}
