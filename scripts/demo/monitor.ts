import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { say } from './output.ts'

interface Webhook {
  path: string
  attempt: number
  eventType: string
  taskId: string | null
}

/** A monitoring system's receiver: prints what arrives, with the milliseconds since the change was made. */
export interface Monitor {
  url(path: string): string
  count(): number
  /** Answers the next `times` requests to `path` with 503. */
  failNext(path: string, times: number): void
  /** Resolves when a webhook that is accepted has come to `path` for this task. */
  received(path: string, taskId: string, timeoutMs: number): Promise<Webhook>
  has(taskId: string): boolean
  close(): Promise<void>
}

export async function startMonitor(): Promise<Monitor> {
  const accepted: Webhook[] = []
  const failures = new Map<string, number>()
  const watchers = new Set<() => void>()

  const server = createServer((request, response) => {
    void text(request).then((raw) => {
      const body = JSON.parse(raw) as {
        event_type: string
        timestamp: string
        task_id: string | null
        data: unknown
      }
      const path = request.url ?? ''
      const left = failures.get(path) ?? 0
      failures.set(path, left - 1)
      const status = left > 0 ? 503 : 200
      const attempt = Number(request.headers['webhook-attempt'])
      const after = Date.now() - Date.parse(body.timestamp)
      say(
        `  ← ${path}  ${body.event_type}  ${body.task_id ?? ''}  ${after} ms after the change, attempt ${attempt}, answered ${status}\n` +
          `      ${JSON.stringify(body.data)}`,
      )
      response.writeHead(status).end()
      if (status !== 200) return
      accepted.push({ path, attempt, eventType: body.event_type, taskId: body.task_id })
      for (const check of watchers) check()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo

  return {
    url: (path) => `http://127.0.0.1:${port}${path}`,
    count: () => accepted.length,
    failNext: (path, times) => void failures.set(path, times),
    has: (taskId) => accepted.some((webhook) => webhook.taskId === taskId),
    received(path, taskId, timeoutMs) {
      return new Promise((resolve, reject) => {
        const check = () => {
          const found = accepted.find((webhook) => webhook.path === path && webhook.taskId === taskId)
          if (found === undefined) return
          clearTimeout(timer)
          watchers.delete(check)
          resolve(found)
        }
        const timer = setTimeout(() => {
          watchers.delete(check)
          reject(new Error(`no webhook of ${taskId} came to ${path} within ${timeoutMs} ms`))
        }, timeoutMs)
        watchers.add(check)
        check()
      })
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
