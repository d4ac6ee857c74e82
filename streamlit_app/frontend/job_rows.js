// The jobs of a page, a row each. What is drawn stays where it did not change, so that a button that is about to be
// pressed keeps its focus while the row counts on. Texts are set with textContent.

const made = new WeakMap()

export default function (component) {
  const root = component.parentElement.querySelector(".rexj")
  const { rows, label } = component.data
  const send = (job, action) => component.setTriggerValue("pressed", { job, action })
  root.setAttribute("aria-label", label)
  const known = made.get(root) ?? new Map()
  made.set(root, known)
  const drawn = rows.map(row => {
    const old = known.get(row.job)
    const kept = old ?? { element: make("div", "rexj-row"), said: {} }
    kept.element.setAttribute("role", "listitem")
    known.set(row.job, kept)
    const cells = { name: name(row, send), facts: facts(row), progress: progress(row), actions: actions(row, send), notes: notes(row) }
    for (const [part, [said, draw]] of Object.entries(cells)) {
      if (kept.said[part] === said && kept.element.querySelector(`.rexj-${part}`)) continue
      kept.said[part] = said
      const cell = draw()
      cell.classList.add(`rexj-${part}`)
      const before = kept.element.querySelector(`.rexj-${part}`)
      if (before) before.replaceWith(cell)
      else kept.element.append(cell)
    }
    return kept.element
  })
  for (const job of known.keys()) if (!rows.some(row => row.job === job)) known.delete(job)
  if (drawn.length !== root.children.length || drawn.some((one, place) => one !== root.children[place])) {
    root.replaceChildren(...drawn)
  }
}

function name(row, send) {
  return [JSON.stringify([row.title, row.state, row.tone]), () => {
    const cell = make("div")
    const link = make("a", "", row.title)
    link.href = row.address
    link.onclick = event => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return // another tab, as everywhere
      event.preventDefault()
      send(row.job, "open")
    }
    cell.append(link, make("span", `rexj-state ${row.tone}`, row.state))
    return cell
  }]
}

function facts(row) {
  return [row.facts, () => {
    const cell = make("div", "", row.facts)
    cell.title = row.facts
    return cell
  }]
}

function progress(row) {
  return [JSON.stringify([row.share, row.line, row.within, row.failures]), () => {
    const cell = make("div")
    const line = make("div", "rexj-line", row.line)
    if (row.failures) line.append(make("b", "", row.failures))
    cell.append(line)
    if (row.share !== null) {
      const bar = make("div", "rexj-bar")
      bar.setAttribute("role", "progressbar")
      bar.setAttribute("aria-label", row.line)
      bar.setAttribute("aria-valuenow", Math.round(100 * row.share))
      const done = make("span")
      done.style.width = `${100 * row.share}%`
      bar.append(done)
      cell.append(bar)
    }
    if (row.within) cell.append(make("div", "rexj-within", row.within))
    return cell
  }]
}

function actions(row, send) {
  return [JSON.stringify(row.actions), () => {
    const cell = make("div")
    cell.append(...row.actions.map(([action, label]) => {
      const button = make("button", "", label)
      button.type = "button"
      button.setAttribute("aria-label", `${label} ${row.title}`)
      button.onclick = () => send(row.job, action)
      return button
    }))
    return cell
  }]
}

function notes(row) {
  return [JSON.stringify(row.notes), () => {
    const cell = make("div")
    cell.append(...row.notes.map(([kind, text]) => make("p", kind, text)))
    return cell
  }]
}

function make(tag, className = "", text = "") {
  const element = document.createElement(tag)
  if (className) element.className = className
  element.textContent = text
  return element
}
