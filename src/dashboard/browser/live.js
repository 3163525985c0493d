/**
 * Keeps a page as the server would show it now: every few seconds it is fetched again, and what differs is put in its
 * place, so that focus, selections and opened details stay. It rests while the tab is hidden. Without it, a reload does the same.
 */
const every = 3_000
const note = document.getElementById('live')
const copyButtons = 'button[data-copy]'

function sameKind(a, b) {
  return (
    a.nodeType === b.nodeType &&
    a.nodeName === b.nodeName &&
    (a.dataset?.key ?? '') === (b.dataset?.key ?? '')
  )
}

function morph(from, to) {
  if (from.isEqualNode(to)) return
  if (from.nodeType === Node.TEXT_NODE) {
    from.data = to.data
    return
  }
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name) && name !== 'open') from.removeAttribute(name)
  }
  for (const { name, value } of [...to.attributes]) {
    if (from.getAttribute(name) !== value && name !== 'open') from.setAttribute(name, value)
  }
  morphChildren(from, to)
}

function morphChildren(from, to) {
  const left = [...from.childNodes]
  let at = from.firstChild
  for (const wanted of [...to.childNodes]) {
    const found = left.findIndex((node) => sameKind(node, wanted))
    const node = found === -1 ? document.importNode(wanted, true) : left.splice(found, 1)[0]
    if (found !== -1) morph(node, wanted)
    if (node === at) at = at.nextSibling
    else from.insertBefore(node, at)
  }
  for (const node of left) node.remove()
}

function say(text) {
  if (note !== null && note.textContent !== text) note.textContent = text
}

async function refresh() {
  const response = await fetch(document.body.dataset.live, {
    headers: { accept: 'text/html' },
    redirect: 'manual',
    signal: AbortSignal.timeout(10_000),
  })
  if (response.type === 'opaqueredirect') {
    say('Logged out: reload')
    return false
  }
  if (!response.ok) throw new Error(`${response.status}`)
  const page = new DOMParser().parseFromString(await response.text(), 'text/html')
  for (const region of document.querySelectorAll('[data-region]')) {
    const fresh = page.querySelector(`[data-region="${region.dataset.region}"]`)
    if (fresh !== null) morph(region, fresh)
  }
  showCopyButtons()
  document.title = page.title
  return true
}

let timer
let running = false

async function tick() {
  clearTimeout(timer)
  if (running || document.hidden) return
  running = true
  let goOn = true
  try {
    goOn = await refresh()
    if (goOn) say(document.hidden ? 'Paused' : 'Live')
  } catch {
    say('No connection: trying again')
  }
  running = false
  if (goOn && !document.hidden) timer = setTimeout(tick, every)
}

function showCopyButtons() {
  for (const button of document.querySelectorAll(copyButtons)) button.hidden = false
}

document.addEventListener('click', async (event) => {
  const button = event.target.closest(copyButtons)
  if (button === null) return
  const text = document.getElementById(button.dataset.copy).textContent
  try {
    await navigator.clipboard.writeText(text)
    button.textContent = 'Copied'
  } catch {
    button.textContent = 'Select and copy it yourself'
  }
})

showCopyButtons()
if (document.body.dataset.live !== undefined) {
  say('Live')
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) {
      clearTimeout(timer)
      say('Paused')
    } else void tick()
  })
  timer = setTimeout(tick, every)
}
