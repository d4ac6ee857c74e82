// The text under review: spans, relations, a list, mouse and keyboard. Everything of the user's is set with textContent.
// Offsets towards Python are code points; the browser counts UTF-16 units. What is done goes to Python as a list of
// actions, one list at a time, and comes back as new data: this file changes no annotation itself.

const views = new WeakMap()

export default function (component) {
  const root = component.parentElement.querySelector(".rexa")
  let view = views.get(root)
  if (!view) {
    view = create(root)
    views.set(root, view)
  }
  view.send = component.setTriggerValue
  update(view, component.data)
  return () => {
    window.removeEventListener("keydown", view.onkey, true)
    view.watch.disconnect()
  }
}

// ---- offsets

const points = text => { let n = 0; for (const _ of text) n += 1; return n }

function units(text, count) {
  let at = 0
  for (const character of text) {
    if (count-- <= 0) break
    at += character.length
  }
  return at
}

// A place in the DOM as a code point of the text; inside a surrogate pair it is the place before the character.
function position(view, node, offset) {
  const piece = node.nodeType === Node.TEXT_NODE ? view.ofNode.get(node) : undefined
  if (piece) {
    const code = piece.text.charCodeAt(offset)
    const inside = code >= 0xdc00 && code <= 0xdfff && offset > 0
    return piece.start + points(piece.text.slice(0, inside ? offset - 1 : offset))
  }
  const range = document.createRange()
  range.setStart(node, offset)
  range.collapse(true)
  const next = view.pieces.find(one => range.comparePoint(one.node, 0) >= 0)
  return next ? next.start : view.length
}

// `ends`: the place belongs to the character before it, so that a chip that stands there is not between.
function inDom(view, place, ends = false) {
  let low = 0
  let high = view.pieces.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (view.pieces[middle].start <= place - (ends ? 1 : 0)) low = middle
    else high = middle - 1
  }
  const piece = view.pieces[low]
  return piece ? [piece.node, units(piece.text, place - piece.start)] : [view.paper, 0]
}

function boxes(view, start, end) {
  const range = document.createRange()
  range.setStart(...inDom(view, start))
  range.setEnd(...inDom(view, end, end > start))
  const origin = view.paper.getBoundingClientRect()
  return [...range.getClientRects()]
    .filter(box => box.height > 0 && (box.width > 0 || start === end))
    .map(box => ({ left: box.left - origin.left, top: box.top - origin.top, width: box.width, height: box.height }))
}

// ---- building

function make(tag, name, text) {
  const element = document.createElement(tag)
  if (name) element.className = name
  if (text !== undefined) element.textContent = text
  return element
}

function button(label, key, act, enabled = true) {
  const element = make("button", "", label)
  element.type = "button"
  if (key) element.append(make("kbd", "", key))
  element.disabled = !enabled
  element.onclick = act
  return element
}

function create(root) {
  const view = { root, document: null, selected: null, anchor: 0, focus: 0, link: false, arcs: true, queue: [], flying: null }
  root.tabIndex = 0
  view.types = make("div", "rexa-types")
  const panes = make("div", "rexa-panes")
  const left = make("div", "rexa-text")
  view.paper = make("div", "rexa-paper")
  left.append(view.paper)
  view.list = make("div", "rexa-list")
  view.tools = make("div", "rexa-tools")
  view.under = make("div", "rexa-over")
  view.over = make("div", "rexa-over front")
  view.keys = make("div", "rexa-keys")
  panes.append(left, view.list)
  root.replaceChildren(view.types, panes, view.keys)
  view.custom = make("input")
  view.custom.onkeydown = event => {
    event.stopPropagation()
    // Enter that ends the input of a Chinese word is not the Enter that sends it
    if (event.isComposing) return
    if (event.key === "Enter" && view.custom.value.trim()) {
      assign(view, view.custom.value.trim())
      view.custom.value = ""
      root.focus()
    } else if (event.key === "Escape") root.focus()
  }
  view.paper.onmouseup = () => setTimeout(() => takeSelection(view))
  view.onkey = event => onKey(view, event)
  window.addEventListener("keydown", view.onkey, true)
  view.watch = new ResizeObserver(() => overlay(view))
  view.watch.observe(view.paper)
  return view
}

function update(view, data) {
  view.data = data
  view.length = data.length
  view.byId = new Map(data.nodes.map(node => [node.id, node]))
  if (view.flying !== null && data.ack === view.flying) view.flying = null
  if (view.document !== data.document) {
    Object.assign(view, { document: data.document, anchor: 0, focus: 0, link: false, queue: [] })
    view.selected = (data.nodes.find(waits) ?? data.nodes[0])?.id ?? null
    follow(view)
    view.list.scrollTop = 0
  } else if (view.fresh) {
    // what was just added is selected
    const added = data.nodes.filter(node => !view.fresh.has(node.id)).at(-1)
    if (added) view.selected = added.id
    view.fresh = null
  }
  if (!view.byId.has(view.selected)) view.selected = data.nodes[0]?.id ?? null
  drawText(view)
  redraw(view)
  flush(view)
}

// Fill `parent` with elements, each said as [what it shows, how to make it]. One that shows the same as before stays where
// it is: of the thousands of a long document a step changes one or two, and making them all anew took over a second.
function fill(parent, parts) {
  const known = parent.known ?? new Map()
  parent.known = new Map()
  const wanted = parts.map(([shows, build]) => {
    const one = known.get(shows) ?? build()
    parent.known.set(shows, one)
    return one
  })
  const staying = new Set(wanted)
  for (const one of [...parent.children]) if (!staying.has(one)) one.remove()
  let place = parent.firstChild
  for (const one of wanted) {
    if (one === place) place = place.nextSibling
    else parent.insertBefore(one, place)
  }
  return wanted
}

const waits = node => node.decision === "open" && !node.out
const colour = (view, type) => view.data.colours[type]?.[0] ?? "#7b8794"
const ink = (view, type) => view.data.colours[type]?.[1] ?? "#10141a"

function drawText(view) {
  const { data, paper } = view
  const foot = data.lanes * 4
  paper.style.lineHeight = `${2.5 + 0.25 * data.lanes}`
  const content = data.pieces.map(([start, text, marks, closing]) => {
    const lines = marks.map(index => [data.marks[index].lane, colour(view, data.marks[index].type)])
    const chips = closing.map(index => {
      const mark = data.marks[index]
      const nodes = mark.nodes.map(id => view.byId.get(id)).filter(Boolean)
      return {
        label: mark.label,
        colour: colour(view, mark.type),
        ink: ink(view, mark.type),
        title: nodes.map(one => `${one.type} ${one.text} ${one.score}`).join("\n"),
        open: nodes.every(waits),
        ids: mark.nodes,
      }
    })
    return [JSON.stringify([start, text, lines, data.lanes, chips]), () => piece(start, text, lines, chips)]
  })

  function piece(start, text, lines, chips) {
    const wrap = make("span")
    if (text === "\n") wrap.append(make("span", "rexa-feed", "↵"))
    const span = make("span", "rexa-piece")
    const node = document.createTextNode(text)
    span.append(node)
    wrap.piece = { start, text, node }
    if (lines.length && text !== "\n") {
      span.style.setProperty("--rexa-foot", `${foot}px`)
      const inner = lines.reduce((best, one) => (one[0] < best[0] ? one : best))
      const tint = `color-mix(in srgb, ${inner[1]} 20%, transparent)`
      const layers = lines.map(([, ink]) => `linear-gradient(${ink}, ${ink})`)
      span.style.backgroundImage = [...layers, `linear-gradient(${tint}, ${tint})`].join(",")
      span.style.backgroundSize = [...lines.map(() => "100% 2px"), `100% calc(100% - ${foot}px)`].join(",")
      const places = lines.map(([lane]) => `0 calc(100% - ${(data.lanes - 1 - lane) * 4}px)`)
      span.style.backgroundPosition = [...places, "0 0"].join(",")
    }
    wrap.append(span)
    for (const one of chips) {
      const chip = make("span", "rexa-chip", one.label)
      chip.style.setProperty("--rexa-colour", one.colour)
      chip.style.setProperty("--rexa-ink", one.ink)
      chip.title = one.title
      if (one.open) chip.classList.add("open")
      chip.dataset.nodes = one.ids.join(" ")
      chip.onmousedown = event => event.preventDefault()
      chip.onclick = () => pick(view, one.ids)
      wrap.append(chip)
    }
    return wrap
  }

  const drawn = fill(paper, [["under", () => view.under], ...content, ["over", () => view.over]])
  view.pieces = drawn.slice(1, -1).map(wrap => wrap.piece)
  view.ofNode = new Map(view.pieces.map(piece => [piece.node, piece]))
}

function redraw(view) {
  drawTypes(view)
  drawList(view)
  overlay(view)
  for (const chip of view.paper.querySelectorAll(".rexa-chip")) {
    chip.classList.toggle("on", chip.dataset.nodes.split(" ").includes(String(view.selected)))
  }
}

function chosenTypes(view) {
  const node = view.byId.get(view.selected)
  if (view.link && node) return view.data.palettes[node.own] ?? []
  if (view.anchor !== view.focus || !node) return view.data.palettes[view.data.root] ?? []
  return view.data.palettes[node.up] ?? []
}

function drawTypes(view) {
  const { words } = view.data
  const node = view.byId.get(view.selected)
  const text = view.anchor !== view.focus
  const hint = view.link && node ? words.link : text ? words.add : node ? words.retype : words.choose
  const parts = [make("span", "rexa-hint", hint.replace("{text}", node ? short(node.shown || node.type) : ""))]
  chosenTypes(view).forEach((type, index) => {
    const one = button(type, index < 9 ? String(index + 1) : "", () => assign(view, type))
    one.style.setProperty("--rexa-colour", colour(view, type))
    one.classList.toggle("on", !text && !view.link && node?.type === type)
    parts.push(one)
  })
  view.custom.placeholder = words.other
  parts.push(view.custom)
  if (document.activeElement === view.custom) return // do not take the field from under the writer's hands
  view.types.replaceChildren(...parts)
}

const short = text => (points(text) > 14 ? `${[...text].slice(0, 13).join("")}…` : text)

function drawList(view) {
  const { data } = view
  const { words } = data
  const node = view.byId.get(view.selected)
  const text = view.anchor !== view.focus
  view.tools.replaceChildren(
    button(words.accept, "A", () => decide(view, "accept"), !!node),
    button(words.reject, "X", () => decide(view, "reject"), !!node),
    button(words.reopen, "O", () => act(view, { kind: "reopen", id: view.selected }), !!node && node.decision !== "open"),
    button(words.move, "B", () => move(view), !!node && node.start !== null && text),
    button(words.linkto, "L", () => link(view), !!node),
    button(words.all, "F", () => everywhere(view), !!(text || node?.text)),
  )
  const rows = data.nodes.map(one => [JSON.stringify([one, colour(view, one.type)]), () => {
    const row = make("div", `rexa-row ${one.depth ? "" : "top"} ${one.out ? "out" : ""}`)
    row.style.paddingLeft = `${10 + 18 * one.depth}px`
    row.dataset.node = one.id
    const sign = { accepted: "✓", rejected: "✗", open: "?" }[one.decision]
    row.append(make("span", `rexa-state ${one.decision}`, sign))
    const kind = make("span", "rexa-kind", one.type)
    kind.style.setProperty("--rexa-colour", colour(view, one.type))
    const body = make("span", "rexa-words", one.shown)
    if (one.was) body.append(make("span", "rexa-was", one.was))
    row.append(kind, body, make("span", "rexa-score", one.score))
    row.onclick = () => select(view, one.id)
    return row
  }])
  if (!rows.length) rows.push([words.none, () => make("div", "rexa-empty", words.none)])
  for (const row of fill(view.list, [["tools", () => view.tools], ...rows]).slice(1)) {
    const on = row.dataset.node === String(view.selected)
    row.classList.toggle("on", on)
    if (on) row.setAttribute("aria-current", "true")
    else row.removeAttribute("aria-current")
  }
  view.root.setAttribute("role", "group")
  view.root.setAttribute("aria-label", words.region)
  if (view.root.dataset.keys !== data.words.keys) {
    view.root.dataset.keys = data.words.keys
    view.keys.replaceChildren()
    for (const [key, meaning] of JSON.parse(data.words.keys)) {
      view.keys.append(make("kbd", "", key), document.createTextNode(meaning))
    }
  }
}

// ---- overlay: selected text, selected annotation, caret, arcs

function overlay(view) {
  if (!view.data) return
  const under = []
  const over = []
  const put = (into, name, box) => {
    const element = make("div", name)
    for (const side of ["left", "top", "width", "height"]) {
      if (box[side] !== undefined) element.style[side] = `${box[side]}px`
    }
    into.push(element)
  }
  const [start, end] = [Math.min(view.anchor, view.focus), Math.max(view.anchor, view.focus)]
  if (start !== end) boxes(view, start, end).forEach(box => put(under, "rexa-box selected", box))
  const node = view.byId.get(view.selected)
  if (node && node.start !== null) {
    boxes(view, node.start, node.end).forEach(box => put(over, `rexa-box focus ${node.out ? "out" : ""}`, box))
  }
  const caret = boxes(view, view.focus, view.focus)[0]
  if (caret) put(over, "rexa-caret", { ...caret, width: undefined })
  if (view.arcs) over.push(arcs(view, node))
  view.under.replaceChildren(...under)
  view.over.replaceChildren(...over)
}

function family(view, node) {
  if (!node) return []
  const pairs = []
  const parent = view.byId.get(node.parent)
  if (parent) pairs.push([parent, node])
  for (const one of view.data.nodes) if (one.parent === node.id) pairs.push([node, one])
  return pairs.filter(pair => pair.every(one => one.start !== null && !one.out))
}

function arcs(view, node) {
  const space = "http://www.w3.org/2000/svg"
  const svg = document.createElementNS(space, "svg")
  svg.setAttribute("aria-hidden", "true") // the list has the same
  for (const [from, to] of family(view, node)) {
    const a = boxes(view, from.start, from.end)[0]
    const b = boxes(view, to.start, to.end)[0]
    if (!a || !b) continue
    const [x1, x2] = [a.left + a.width / 2, b.left + b.width / 2]
    // on one line over it, else from line to line; the chip at the arrow's head says what it is
    const down = b.top > a.top + a.height / 2
    const up = b.top < a.top - a.height / 2
    const y1 = down ? a.top + a.height : a.top
    const y2 = up ? b.top + b.height : b.top
    const bend = down || up ? (y1 + y2) / 2 : y1 - 14 - Math.min(12, Math.abs(x1 - x2) / 30)
    const sign = up ? 1 : -1
    const path = document.createElementNS(space, "path")
    path.setAttribute("class", "rexa-arc")
    path.setAttribute("stroke", colour(view, to.type))
    path.setAttribute("d", `M${x1},${y1} C${x1},${bend} ${x2},${bend} ${x2},${y2}`)
    const head = document.createElementNS(space, "path")
    head.setAttribute("fill", colour(view, to.type))
    head.setAttribute("d", `M${x2 - 4},${y2 + 7 * sign} L${x2 + 4},${y2 + 7 * sign} L${x2},${y2} Z`)
    svg.append(path, head)
  }
  return svg
}

// ---- selecting

function select(view, id) {
  Object.assign(view, { selected: id, link: false })
  follow(view)
  redraw(view)
}

// The caret goes where the selected annotation begins; text that was selected is let go.
function follow(view) {
  const node = view.byId.get(view.selected)
  view.anchor = view.focus = node?.start ?? 0
  requestAnimationFrame(() => {
    view.list.querySelector(".rexa-row.on")?.scrollIntoView({ block: "nearest" })
    view.over?.querySelector(".rexa-box.focus")?.scrollIntoView({ block: "nearest" })
  })
}

// Of several annotations in one place, a click takes one after the other.
function pick(view, ids) {
  if (view.link) return linkTo(view, ids)
  const at = ids.indexOf(view.selected)
  select(view, ids[(at + 1) % ids.length])
}

function linkTo(view, ids) {
  const node = view.byId.get(ids[0])
  if (node.start !== null && node.id !== view.selected) {
    Object.assign(view, { anchor: node.start, focus: node.end })
    redraw(view)
  }
}

function takeSelection(view) {
  const chosen = window.getSelection()
  if (!chosen || !chosen.rangeCount || !view.paper.contains(chosen.anchorNode)) return
  const from = position(view, chosen.anchorNode, chosen.anchorOffset)
  const to = position(view, chosen.focusNode, chosen.focusOffset)
  chosen.removeAllRanges()
  view.root.focus({ preventScroll: true })
  Object.assign(view, { anchor: from, focus: to })
  if (from === to) {
    // a click on a span selects it, the shortest first
    const under = view.data.marks
      .filter(mark => mark.start <= from && from < mark.end)
      .sort((a, b) => a.end - a.start - (b.end - b.start))
    if (under.length) return pick(view, under.flatMap(mark => mark.nodes))
  }
  redraw(view)
}

function step(view, by) {
  const nodes = view.data.nodes
  if (!nodes.length) return
  const at = nodes.findIndex(node => node.id === view.selected)
  select(view, nodes[Math.max(0, Math.min(nodes.length - 1, at + by))].id)
}

function caret(view, by, extend) {
  const place = Math.max(0, Math.min(view.length, view.focus + by))
  view.focus = place
  if (!extend) view.anchor = place
  redraw(view)
}

// ---- doing

function act(view, action) {
  view.queue.push(action)
  flush(view)
}

function flush(view) {
  view.root.dataset.busy = String(view.flying !== null || view.queue.length > 0)
  if (view.flying !== null || !view.queue.length) return
  view.flying = `${Date.now()}-${Math.random()}`
  const actions = view.queue.splice(0)
  view.send("actions", { ticket: view.flying, document: view.document, version: view.data.version, actions })
}

function decide(view, kind) {
  if (view.selected === null) return
  act(view, { kind, id: view.selected })
  const nodes = view.data.nodes
  const at = nodes.findIndex(node => node.id === view.selected)
  const skipped = kind === "reject" ? below(view, view.selected) : new Set()
  const next = [...nodes.slice(at + 1), ...nodes.slice(0, at)].find(node => waits(node) && !skipped.has(node.id))
  if (next) select(view, next.id)
}

function below(view, id) {
  const found = new Set([id])
  for (const node of view.data.nodes) if (found.has(node.parent)) found.add(node.id)
  return found
}

function assign(view, type) {
  const [start, end] = [Math.min(view.anchor, view.focus), Math.max(view.anchor, view.focus)]
  const action = { kind: "assign", type }
  if (start !== end) action.places = [[start, end]]
  if (view.link) action.parent = view.selected
  else if (start === end && view.selected !== null) action.id = view.selected
  view.fresh = new Set(view.byId.keys())
  Object.assign(view, { link: false, anchor: view.focus })
  act(view, action)
  redraw(view)
}

function move(view) {
  if (view.anchor === view.focus || view.selected === null) return
  const places = [[Math.min(view.anchor, view.focus), Math.max(view.anchor, view.focus)]]
  view.anchor = view.focus
  act(view, { kind: "move", id: view.selected, places })
}

// One end of the selected annotation by one character.
function resize(view, end, by) {
  const node = view.byId.get(view.selected)
  if (!node || node.start === null) return
  const place = end ? [node.start, node.end + by] : [node.start + by, node.end]
  if (place[0] < 0 || place[1] > view.length || place[0] >= place[1]) return
  act(view, { kind: "move", id: node.id, places: [place] })
}

function link(view) {
  if (view.selected === null) return
  view.link = !view.link
  redraw(view)
}

function everywhere(view) {
  const node = view.byId.get(view.selected)
  const [start, end] = [Math.min(view.anchor, view.focus), Math.max(view.anchor, view.focus)]
  if (start !== end) act(view, { kind: "preview", places: [[start, end]] })
  else if (node?.text) act(view, { kind: "preview", id: node.id })
}

function onKey(view, event) {
  if (!view.root.isConnected || event.isComposing) return
  const target = event.composedPath()[0]
  if (target instanceof Element && target.closest("input, textarea, select, [contenteditable=true], [role=dialog], [role=listbox]")) return
  // Keys that another element acts on stay its own.
  if (target instanceof Element && target.closest("button, a") && (event.key === "Enter" || event.key === " ")) return
  const other = "[role=combobox], [role=slider], [role=tab], [role=radio], canvas"
  if (target instanceof Element && target.closest(other) && /^(Enter| |Arrow)/.test(event.key)) return
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key
  const command = event.ctrlKey || event.metaKey
  let run
  if (command) {
    if (key === "z") run = () => act(view, { kind: event.shiftKey ? "redo" : "undo" })
    else if (key === "y") run = () => act(view, { kind: "redo" })
  } else if (event.altKey && (key === "ArrowLeft" || key === "ArrowRight")) {
    run = () => resize(view, event.shiftKey, key === "ArrowLeft" ? -1 : 1)
  // G without Shift begins the desk's way to another page
  } else if (!event.altKey && (key !== "g" || event.shiftKey)) {
    const types = chosenTypes(view)
    if (/^[1-9]$/.test(key) && types[key - 1] !== undefined) run = () => assign(view, types[key - 1])
    else
      run = {
        j: () => step(view, 1),
        k: () => step(view, -1),
        ArrowDown: () => step(view, 1),
        ArrowUp: () => step(view, -1),
        ArrowLeft: () => caret(view, -1, event.shiftKey),
        ArrowRight: () => caret(view, 1, event.shiftKey),
        a: () => decide(view, "accept"),
        x: () => decide(view, "reject"),
        Delete: () => decide(view, "reject"),
        o: () => view.selected !== null && act(view, { kind: "reopen", id: view.selected }),
        b: () => move(view),
        l: () => link(view),
        f: () => everywhere(view),
        t: () => view.custom.focus(),
        g: () => { view.arcs = !view.arcs; overlay(view) },
        u: () => act(view, { kind: event.shiftKey ? "redo" : "undo" }),
        n: () => act(view, { kind: "next" }),
        p: () => act(view, { kind: "previous" }),
        s: () => act(view, { kind: "skip" }),
        d: () => event.shiftKey && act(view, { kind: "dismiss" }),
        Enter: () => act(view, { kind: "finish" }),
        Escape: () => { Object.assign(view, { link: false, anchor: view.focus }); redraw(view) },
      }[key]
  }
  if (!run) return
  event.preventDefault()
  event.stopPropagation()
  run()
}
