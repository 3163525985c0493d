import type { IncomingMessage } from 'node:http'
import { isUuid } from '../api/schemas/delivery.ts'
import { Webhook } from 'standardwebhooks'
import { receivedEvent } from '../events.ts'

/**
 * Holds a request against what receivers are promised (contract, section 2).
 * @param secret what it must be signed with; undefined: whether it is signed does not matter
 * @returns what is not so, in words
 */
export function checkWebhook(
  { method, headers }: Pick<IncomingMessage, 'method' | 'headers'>,
  body: Buffer,
  receivedAt: Date,
  secret?: string,
): string[] {
  const problems: string[] = []
  const header = (name: string, holds: (value: string) => boolean, wanted: string) => {
    const value = headers[name]
    if (typeof value !== 'string' || !holds(value)) {
      problems.push(`the header ${name} must be ${wanted}, and is ${JSON.stringify(value ?? null)}`)
    }
  }
  if (method !== 'POST') problems.push(`the method must be POST, and is ${method}`)
  header('content-type', (value) => value === 'application/json', 'application/json')
  header('user-agent', (value) => value.startsWith('webhook-outbox/'), 'webhook-outbox/<version>')
  header('webhook-id', isUuid, 'a UUID')
  header('webhook-attempt', (value) => /^[1-9]\d*$/.test(value), 'a number from 1 on')
  header(
    'webhook-timestamp',
    (value) => /^\d+$/.test(value) && Math.abs(receivedAt.getTime() / 1000 - Number(value)) < 300,
    'unix seconds of this attempt, within five minutes of the clock of this machine',
  )
  if (secret !== undefined) problems.push(...checkSignature(secret, headers, body))
  return [...problems, ...checkBody(body)]
}

function checkSignature(secret: string, headers: IncomingMessage['headers'], body: Buffer): string[] {
  try {
    new Webhook(secret).verify(body, headers as Record<string, string>, { jsonParse: false })
    return []
  } catch (error) {
    return [`it is not signed with the secret: ${error instanceof Error ? error.message : String(error)}`]
  }
}

function checkBody(body: Buffer): string[] {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    return ['the body must be JSON in UTF-8']
  }
  const result = receivedEvent.safeParse(value)
  if (result.success) return []
  return result.error.issues.map(({ path, message }) => `the body's ${path.join('.') || 'whole'}: ${message}`)
}
