import { hash, randomBytes } from 'node:crypto'
import { Webhook } from 'standardwebhooks'

/** As db/migrations/0014_signing.ts has it: base64 of 24 to 64 bytes. */
const form = /^whsec_((?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)$/

/** What a secret must be, in words. */
export const secretForm = 'whsec_ and the base64 of 24 to 64 bytes'

export function isSecret(text: string): boolean {
  const base64 = form.exec(text)?.[1]
  if (base64 === undefined) return false
  const bytes = Buffer.from(base64, 'base64')
  return bytes.length >= 24 && bytes.length <= 64 && bytes.toString('base64') === base64
}

export function newSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`
}

/** Names a secret without giving it away: the first 16 hex digits of its SHA-256. */
export function fingerprintOf(secret: string): string {
  return hash('sha256', secret).slice(0, 16)
}

/**
 * The header webhook-signature (Standard Webhooks): a signature by each secret over `<webhook-id>.<webhook-timestamp>.<body>`.
 * @throws where a secret is none, without its text
 */
export function signatureOf(
  secrets: readonly string[],
  { eventId, at, payload }: { eventId: string; at: Date; payload: string },
): string {
  return secrets.map((secret) => new Webhook(secret).sign(eventId, at, payload)).join(' ')
}
