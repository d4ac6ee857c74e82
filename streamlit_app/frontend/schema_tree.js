// A schema as a tree: keyboard, mouse, drag and drop. Everything of the user's is set with textContent.
// Each step goes to Python, which gives the new tree; this file changes no schema itself.

const views = new WeakMap()
const MANY = 15

export default function (component) {
  const root = component.parentElement.querySelector(".rext")
  let view = views.get(root)
  if (!view) {
    view = create(root)
    views.set(root, view)
  }
  view.send = component.setTriggerValue
  update(view, component.data)
}

function create(root) {
  const view = { root, closed: new Set(), chosen: null, editing: null, dragged: null, filter: "", ticket: null, count: 0 }
  view.bar = element(root, "div", "rext-bar")
  view.tree = element(root, "div", "rext-tree")
  view.tree.setAttribute("role", "tree")
  view.keys = element(root, "div", "rext-keys")
  view.tree.addEventListener("keydown", event => pressed(view, event))
  view.tree.addEventListener("dragend", () => { view.dragged = null; clearDrop(view) })
  return view
}

function element(parent, tag, name = "", text = "") {
  const one = document.createElement(tag)
  if (name) one.className = name
  if (text) one.textContent = text
  parent.append(one)
  return one
}

function button(parent, icon, label, run, disabled = false) {
  const one = element(parent, "button", "", icon)
  one.type = "button"
  one.title = label
  one.setAttribute("aria-label", label)
  one.disabled = disabled
  one.tabIndex = -1
  one.addEventListener("click", event => { event.stopPropagation(); run() })
  return one
}

// Inside a shadow root the document knows only its host.
const active = view => view.root.getRootNode().activeElement

const keyOf = path => JSON.stringify(path)

function update(view, data) {
  view.data = data
  view.rows = data.rows.map(row => ({ ...row, key: keyOf(row.path) }))
  const known = new Set(view.rows.map(row => row.key))
  if (data.ticket !== view.ticket) {
    view.ticket = data.ticket
    view.editing = null
    if (data.focus) {
      view.chosen = keyOf(data.focus)
      for (let n = 1; n < data.focus.length; n += 1) view.closed.delete(keyOf(data.focus.slice(0, n)))
      view.refocus = true
    }
  }
  if (!known.has(view.chosen)) view.chosen = view.rows.length ? view.rows[0].key : null
  draw(view)
}

function act(view, op, path, more = {}) {
  view.count += 1
  view.send("action", { op, path, number: view.count, seen: view.ticket, ...more })
}

// ---- drawing

function visible(view) {
  const wanted = view.filter.trim().toLowerCase()
  if (wanted) {
    const kept = new Set()
    for (const row of view.rows)
      if (row.path[row.path.length - 1].toLowerCase().includes(wanted))
        for (let n = 1; n <= row.path.length; n += 1) kept.add(keyOf(row.path.slice(0, n)))
    return view.rows.filter(row => kept.has(row.key))
  }
  return view.rows.filter(row => !row.path.some((_, n) => n > 0 && view.closed.has(keyOf(row.path.slice(0, n)))))
}

function draw(view) {
  const { words, nested, undo, redo } = view.data
  const top = view.tree.scrollTop
  if (view.tree.contains(active(view))) view.refocus = true  // its row is about to be drawn anew
  drawBar(view, words, nested, undo, redo)
  view.tree.replaceChildren()
  view.tree.setAttribute("aria-label", words.label)
  const rows = visible(view)
  if (rows.length && !rows.some(row => row.key === view.chosen)) view.chosen = rows[0].key
  for (const row of rows) {
    drawRow(view, row, words, nested)
    if (view.editing && view.editing.kind === "add" && view.editing.key === row.key) drawNew(view, row.path, words)
  }
  if (view.editing && view.editing.kind === "add" && view.editing.key === "[]") drawNew(view, [], words)
  view.keys.replaceChildren()
  for (const [key, name] of words.keys) {
    element(view.keys, "kbd", "", key)
    view.keys.append(` ${name}  `)
  }
  view.tree.scrollTop = top
  const input = view.tree.querySelector("input")
  if (input) input.focus()
  else if (view.refocus) {
    const row = view.tree.querySelector('[aria-selected="true"]')
    if (row) { row.focus({ preventScroll: true }); row.scrollIntoView({ block: "nearest" }) }
  }
  view.refocus = false
}

function drawBar(view, words, nested, undo, redo) {
  const typing = view.search && active(view) === view.search
  const at = typing ? view.search.selectionStart : 0
  view.bar.replaceChildren()
  for (const [icon, label, run, off] of [
    ["＋ " + words.add, words.add, () => edit(view, "add", "[]"), false],
    ["↶", words.undo, () => act(view, "undo", []), !undo],
    ["↷", words.redo, () => act(view, "redo", []), !redo],
  ]) button(view.bar, icon, label, run, off).tabIndex = 0
  if (nested && view.rows.some(row => row.children)) {
    const open = !view.closed.size
    button(view.bar, open ? "▾" : "▸", open ? words.close : words.open, () => {
      view.closed = open ? new Set(view.rows.filter(row => row.children).map(row => row.key)) : new Set()
      draw(view)
    }).tabIndex = 0
  }
  if (view.rows.length > MANY) {
    view.search = element(view.bar, "input")
    view.search.type = "search"
    view.search.placeholder = words.filter
    view.search.setAttribute("aria-label", words.filter)
    view.search.value = view.filter
    view.search.addEventListener("input", () => { view.filter = view.search.value; draw(view) })
    if (typing) { view.search.focus(); view.search.setSelectionRange(at, at) }
  } else view.filter = ""
  element(view.bar, "span", "count", words.count)
}

function drawRow(view, row, words, nested) {
  const line = element(view.tree, "div", "rext-row")
  const name = row.path[row.path.length - 1]
  const chosen = row.key === view.chosen
  line.setAttribute("role", "treeitem")
  line.setAttribute("aria-level", String(row.path.length))
  line.setAttribute("aria-selected", String(chosen))
  line.setAttribute("aria-label", [name, ...row.hints.map(hint => hint.text)].join("；"))
  if (row.children) line.setAttribute("aria-expanded", String(!view.closed.has(row.key)))
  line.tabIndex = chosen ? 0 : -1
  line.style.paddingLeft = `${4 + 20 * (row.path.length - 1)}px`
  line.dataset.key = row.key
  line.addEventListener("click", () => choose(view, row.key, true))
  line.addEventListener("focus", () => row.key !== view.chosen && choose(view, row.key, false))
  line.addEventListener("dblclick", () => edit(view, "rename", row.key))
  draggable(view, line, row, nested)
  if (nested) {
    const closed = view.closed.has(row.key)
    const fold = button(line, row.children ? (closed ? "▸" : "▾") : "·", closed ? words.open : words.close, () => fold_(view, row), !row.children)
    fold.classList.add("rext-fold")
  }
  if (view.editing && view.editing.kind === "rename" && view.editing.key === row.key) {
    input(view, line, name, words.rename, value => value === name ? cancel(view) : act(view, "rename", row.path, { name: value }))
    return
  }
  const label = element(line, "span", "rext-name" + (row.path.length === 1 ? " top" : ""), name)
  if (view.closed.has(row.key)) element(label, "span", "rext-more", `(${row.below})`)
  const does = element(line, "span", "rext-do")
  if (nested) button(does, "＋", words.child, () => edit(view, "add", row.key))
  button(does, "↑", words.up, () => act(view, "up", row.path), row.first)
  button(does, "↓", words.down, () => act(view, "down", row.path), row.last)
  if (nested) {
    button(does, "⇤", words.out, () => act(view, "out", row.path), row.path.length === 1)
    button(does, "⇥", words.in, () => act(view, "in", row.path), row.first)
  }
  button(does, "⎘", words.copy, () => act(view, "duplicate", row.path)).classList.add("rext-copy")
  button(does, "✎", words.rename, () => edit(view, "rename", row.key))
  button(does, "✕", words.delete, () => act(view, "delete", row.path))
  for (const hint of row.hints) {
    const said = element(view.tree, "div", "rext-hint")
    said.style.paddingLeft = `${(nested ? 30 : 8) + 20 * (row.path.length - 1)}px`
    element(said, "span", "said", hint.text)
    if (hint.better)
      button(said, `→ ${hint.better}`, words.better, () => act(view, "rename", row.path, { name: hint.better })).tabIndex = 0
  }
}

function drawNew(view, above, words) {
  const line = element(view.tree, "div", "rext-row")
  line.style.paddingLeft = `${26 + 20 * above.length}px`
  input(view, line, "", words.new, value => act(view, "add", above, { name: value }))
  line.scrollIntoView({ block: "nearest" })
}

function input(view, parent, value, label, commit) {
  const field = element(parent, "input")
  field.value = value
  field.placeholder = label
  field.setAttribute("aria-label", label)
  field.select()
  const done = () => {
    const written = field.value.trim()
    if (view.editing) { view.editing = null; view.refocus = true; written ? commit(written) : cancel(view) }
  }
  field.addEventListener("keydown", event => {
    event.stopPropagation()
    if (event.isComposing) return  // Enter ends the choice of a word in an input method
    if (event.key === "Enter") { event.preventDefault(); done() }
    if (event.key === "Escape") { event.preventDefault(); cancel(view) }
  })
  field.addEventListener("blur", done)
}

// ---- what the user does

function choose(view, key, focus) {
  view.chosen = key
  for (const row of view.tree.querySelectorAll(".rext-row[data-key]")) {
    const on = row.dataset.key === key
    row.setAttribute("aria-selected", String(on))
    row.tabIndex = on ? 0 : -1
    if (on && focus) row.focus()
  }
}

function edit(view, kind, key) {
  view.editing = { kind, key }
  if (kind === "add") view.closed.delete(key)
  draw(view)
}

function cancel(view) {
  view.editing = null
  view.refocus = true
  draw(view)
}

function fold_(view, row) {
  view.closed.has(row.key) ? view.closed.delete(row.key) : view.closed.add(row.key)
  view.refocus = true
  draw(view)
}

function pressed(view, event) {
  if (event.target.tagName === "INPUT" || (event.target.tagName === "BUTTON" && (event.key === "Enter" || event.key === " "))) return
  const { nested } = view.data
  const rows = visible(view)
  const at = rows.findIndex(row => row.key === view.chosen)
  const row = rows[at]
  const command = event.ctrlKey || event.metaKey
  let run
  if (command && event.key.toLowerCase() === "z") run = () => act(view, event.shiftKey ? "redo" : "undo", [])
  else if (command && event.key.toLowerCase() === "y") run = () => act(view, "redo", [])
  else if (!row) return
  else if (command && event.key.toLowerCase() === "d") run = () => act(view, "duplicate", row.path)
  else if (event.altKey)
    run = {
      ArrowUp: () => !row.first && act(view, "up", row.path),
      ArrowDown: () => !row.last && act(view, "down", row.path),
      ArrowRight: () => nested && act(view, "in", row.path),
      ArrowLeft: () => nested && act(view, "out", row.path),
    }[event.key]
  else if (!command)
    run = {
      ArrowDown: () => at + 1 < rows.length && choose(view, rows[at + 1].key, true),
      ArrowUp: () => at > 0 && choose(view, rows[at - 1].key, true),
      Home: () => choose(view, rows[0].key, true),
      End: () => choose(view, rows[rows.length - 1].key, true),
      ArrowLeft: () => {
        if (row.children && !view.closed.has(row.key)) fold_(view, row)
        else if (row.path.length > 1) choose(view, keyOf(row.path.slice(0, -1)), true)
      },
      ArrowRight: () => {
        if (row.children && view.closed.has(row.key)) fold_(view, row)
        else if (row.children) choose(view, rows[at + 1].key, true)
      },
      Enter: () => edit(view, "rename", row.key),
      F2: () => edit(view, "rename", row.key),
      Insert: () => edit(view, "add", nested ? row.key : "[]"),
      "+": () => edit(view, "add", nested ? row.key : "[]"),
      Delete: () => act(view, "delete", row.path),
    }[event.key]
  if (!run) return
  event.preventDefault()
  event.stopPropagation()
  run()
}

// ---- drag and drop: upper part of a row: before it; lower part: behind it; middle: below it

function draggable(view, line, row, nested) {
  line.draggable = true
  line.addEventListener("dragstart", event => {
    view.dragged = row
    event.dataTransfer.effectAllowed = "move"
    event.dataTransfer.setData("text/plain", row.path[row.path.length - 1])
  })
  line.addEventListener("dragover", event => {
    const where = zone(view, line, row, nested, event)
    clearDrop(view)
    if (!where) return
    event.preventDefault()
    line.classList.add(where)
  })
  line.addEventListener("drop", event => {
    const where = zone(view, line, row, nested, event)
    clearDrop(view)
    if (!where) return
    event.preventDefault()
    const above = where === "into" ? row.path : row.path.slice(0, -1)
    const index = where === "into" ? null : row.index + (where === "after" ? 1 : 0)
    act(view, "place", view.dragged.path, { above, index })
    view.dragged = null
  })
}

function zone(view, line, row, nested, event) {
  const moved = view.dragged
  if (!moved || moved.path.every((name, n) => row.path[n] === name)) return null
  const box = line.getBoundingClientRect()
  const part = (event.clientY - box.top) / box.height
  if (nested && part > .3 && part < .7) return "into"
  return part < .5 ? "before" : "after"
}

function clearDrop(view) {
  for (const row of view.tree.querySelectorAll(".before, .after, .into")) row.classList.remove("before", "after", "into")
}
