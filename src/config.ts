import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { z } from 'zod'
import { text } from './api/schemas/text.ts'
import { createAddressPolicy, isCidr } from './delivery/address-policy.ts'
import { parseWebhookUrl } from './delivery/webhook-url.ts'
import { distance } from './distance.ts'

/**
 * The environment, checked once at boot (contract, section 6). Every bad variable is named at once, and values
 * of secrets are never repeated. Any variable may be given as NAME_FILE, the path of a file that holds it.
 */
const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const longest = 365 * 10 * units.d

/** `1500ms`, `10s`, `5m`, `2h`, `7d` → milliseconds; null where it is none of these. */
export function parseDuration(value: string): number | null {
  const match = /^(\d{1,15})(ms|s|m|h|d)$/.exec(value)
  return match === null ? null : Number(match[1]) * units[match[2] as keyof typeof units]
}

/** Milliseconds as they are written in the largest unit that is exact: 90000 → `90s`. */
export function formatDuration(ms: number): string {
  const whole = Math.round(ms)
  const [unit, size] = Object.entries(units)
    .toReversed()
    .find(([, size]) => whole % size === 0)!
  return `${whole / size}${unit}`
}

const duration = (initial: string, options: { zero?: true } = {}) =>
  z
    .string()
    .default(initial)
    .transform((value, context) => {
      const ms = parseDuration(value)
      if (ms === null) {
        context.addIssue(
          `"${value}" is no duration: write a whole number and ms, s, m, h or d, such as ${initial}`,
        )
      } else if (ms === 0 && options.zero !== true) {
        context.addIssue(`must be more than 0, such as ${initial}`)
      } else if (ms > longest) {
        context.addIssue(`"${value}" is longer than ten years`)
      } else return ms
      return z.NEVER
    })

const wholeNumber = (initial: string, min: number, max: number) =>
  z
    .string()
    .default(initial)
    .refine((value) => /^\d{1,9}$/.test(value) && Number(value) >= min && Number(value) <= max, {
      error: `must be a whole number from ${min} to ${max}, such as ${initial}`,
    })
    .transform(Number)

const postgresUrl = z.string().refine(
  (value) => {
    try {
      return ['postgres:', 'postgresql:'].includes(new URL(value).protocol)
    } catch {
      return false
    }
  },
  { error: 'must be a URL such as postgres://user:password@host:5432/database (its value is not shown)' },
)

const retrySchedule = z
  .string()
  .default('1s,2s,4s')
  .transform((value, context) => {
    const waits = value.split(',').map((part) => parseDuration(part.trim()))
    if (waits.some((wait) => wait === null || wait === 0 || wait > longest)) {
      context.addIssue(`"${value}" must be waits of more than 0 such as 1s,2s,4s`)
    } else if (waits.length > 100) {
      context.addIssue(`has ${waits.length} waits, and may have 100 at most`)
    } else return waits as number[]
    return z.NEVER
  })

const cidrs = z
  .string()
  .default('')
  .transform((value, context) => {
    const parts = value
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '')
    const bad = parts.filter((part) => !isCidr(part))
    if (bad.length === 0) return parts
    context.addIssue(`${bad.join(', ')} is no CIDR, such as 10.0.0.0/8 or fd00::/8`)
    return z.NEVER
  })

export interface ApiToken {
  role: 'read' | 'write'
  name: string
  token: string
}

const apiTokens = z
  .string()
  .default('')
  .transform((value, context): ApiToken[] => {
    const tokens: ApiToken[] = []
    for (const [index, part] of value.split(',').entries()) {
      if (part.trim() === '') continue
      const match = /^(read|write):([^:\s]{1,100}):([\x21-\x2b\x2d-\x7e]+)$/.exec(part.trim())
      if (match === null) {
        context.addIssue(
          `entry ${index + 1} must be role:name:token with the role read or write and a token of ` +
            'printable characters without spaces or commas (its value is not shown)',
        )
      } else tokens.push({ role: match[1] as 'read' | 'write', name: match[2]!, token: match[3]! })
    }
    const names = tokens.map((token) => token.name)
    const twice = names.find((name, index) => names.indexOf(name) !== index)
    if (twice !== undefined) context.addIssue(`the name "${twice}" stands there twice`)
    return tokens
  })

/** As a webhook_url that the API takes. */
const webhookUrl = z.string().transform((value, context) => {
  const url = parseWebhookUrl(value)
  if (url instanceof URL) return url.href
  context.addIssue(`${url} (its value is not shown)`)
  return z.NEVER
})

const variables = {
  DATABASE_URL: postgresUrl.optional(),
  LISTEN_DATABASE_URL: postgresUrl.optional(),
  ROLE: z.enum(['all', 'api', 'dispatcher'], { error: 'must be all, api or dispatcher' }).default('all'),
  HOST: z.string().default('127.0.0.1'),
  PORT: wholeNumber('3000', 0, 65_535),
  API_TOKENS: apiTokens,
  RETRY_SCHEDULE: retrySchedule,
  DELIVERY_TIMEOUT: duration('10s'),
  AGENT_STUCK_AFTER: duration('90s'),
  STUCK_SWEEP_INTERVAL: duration('5s'),
  MAX_IN_FLIGHT: wholeNumber('256', 1, 100_000),
  MAX_IN_FLIGHT_PER_ENDPOINT: wholeNumber('16', 1, 100_000),
  LEASE: duration('30s'),
  POLL_INTERVAL: duration('1s'),
  ADDRESS_POLICY: z
    .enum(['public', 'internal', 'loopback'], { error: 'must be public, internal or loopback' })
    .optional(),
  ADDRESS_ALLOW: cidrs,
  ADDRESS_DENY: cidrs,
  RETENTION: duration('7d'),
  DEAD_RETENTION: duration('30d'),
  MAX_OWED_AGE: duration('14d'),
  RECOVER_WINDOW: duration('24h', { zero: true }),
  INSTALLATION: text({ max: 200, oneLine: true }).optional(),
  OPERATOR_WEBHOOK_URL: webhookUrl.optional(),
  SHUTDOWN_GRACE: duration('15s'),
  LOG_LEVEL: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
      error: 'must be fatal, error, warn, info, debug, trace or silent',
    })
    .default('info'),
}

export type VariableName = keyof typeof variables

export const variableNames = Object.keys(variables) as readonly VariableName[]
/** What a lease has beyond the deadline of an exchange, at least: for the way to the send, and for recording what came of it. */
export const leaseMarginMs = 2_000

type Environment = z.output<z.ZodObject<typeof variables>>

/** What is wrong with variables that are good each by itself. Asked also where others are bad, of those that are good. */
function crossCheck(env: Partial<Environment>): string[] {
  const problems: string[] = []
  if (env.LEASE !== undefined && env.DELIVERY_TIMEOUT !== undefined) {
    const least = env.DELIVERY_TIMEOUT + leaseMarginMs
    if (env.LEASE < least) problems.push(`LEASE must be at least DELIVERY_TIMEOUT + 2s, which is ${least}ms`)
  }
  if (env.HOST !== undefined && !isLoopbackHost(env.HOST) && env.API_TOKENS?.length === 0) {
    problems.push(
      `HOST ${env.HOST} can be reached from other machines: set API_TOKENS, or serve on 127.0.0.1`,
    )
  }
  if (env.OPERATOR_WEBHOOK_URL !== undefined) {
    const policy = createAddressPolicy({
      policy: addressPolicyOf(env),
      allow: env.ADDRESS_ALLOW ?? [],
      deny: env.ADDRESS_DENY ?? [],
    })
    const refusal = policy.checkHost(new URL(env.OPERATOR_WEBHOOK_URL).hostname)
    if (refusal !== null) {
      problems.push(`OPERATOR_WEBHOOK_URL must have a host that webhooks may be sent to: ${refusal}`)
    }
  }
  return problems
}

function addressPolicyOf({ ADDRESS_POLICY, DATABASE_URL }: Partial<Environment>) {
  return ADDRESS_POLICY ?? (DATABASE_URL === undefined ? 'loopback' : 'internal')
}

function toConfig(env: Environment) {
  return {
    databaseUrl: env.DATABASE_URL,
    listenDatabaseUrl: env.LISTEN_DATABASE_URL ?? env.DATABASE_URL,
    role: env.ROLE,
    host: env.HOST,
    port: env.PORT,
    apiTokens: env.API_TOKENS,
    /** Milliseconds before each retry. */
    retrySchedule: env.RETRY_SCHEDULE,
    deliveryTimeoutMs: env.DELIVERY_TIMEOUT,
    agentStuckAfterMs: env.AGENT_STUCK_AFTER,
    stuckSweepIntervalMs: env.STUCK_SWEEP_INTERVAL,
    maxInFlight: env.MAX_IN_FLIGHT,
    maxInFlightPerEndpoint: env.MAX_IN_FLIGHT_PER_ENDPOINT,
    leaseMs: env.LEASE,
    pollIntervalMs: env.POLL_INTERVAL,
    addressPolicy: addressPolicyOf(env),
    addressAllow: env.ADDRESS_ALLOW,
    addressDeny: env.ADDRESS_DENY,
    retentionMs: env.RETENTION,
    deadRetentionMs: env.DEAD_RETENTION,
    maxOwedAgeMs: env.MAX_OWED_AGE,
    recoverWindowMs: env.RECOVER_WINDOW,
    installation: env.INSTALLATION,
    operatorWebhookUrl: env.OPERATOR_WEBHOOK_URL,
    shutdownGraceMs: env.SHUTDOWN_GRACE,
    logLevel: env.LOG_LEVEL,
  }
}

export type Config = ReturnType<typeof toConfig>

/** All that is wrong with the environment, a line each. */
export class ConfigError extends Error {
  override name = 'ConfigError'
  readonly problems: string[]
  constructor(problems: string[]) {
    super(`bad configuration:\n${problems.map((problem) => `  ${problem}`).join('\n')}`)
    this.problems = problems
  }
}

/**
 * Reads the configuration from `env`; an empty variable counts as unset.
 * @throws ConfigError naming every bad variable
 */
export function readConfig(env: Record<string, string | undefined>): Config {
  const problems: string[] = []
  const given: Record<string, string> = {}
  for (const name of variableNames) {
    const value = readVariable(env, name, problems)
    if (value !== undefined) given[name] = value
  }
  problems.push(...misspelt(env))
  const good: Record<string, unknown> = {}
  for (const [name, variable] of Object.entries(variables)) {
    const parsed = variable.safeParse(given[name])
    if (parsed.success) good[name] = parsed.data
    else problems.push(...parsed.error.issues.map((issue) => `${name} ${issue.message}`))
  }
  problems.push(...crossCheck(good))
  if (problems.length > 0) throw new ConfigError(problems)
  return toConfig(good as Environment)
}

function readVariable(
  env: Record<string, string | undefined>,
  name: string,
  problems: string[],
): string | undefined {
  const file = env[`${name}_FILE`]
  const value = env[name]
  if (file === undefined || file === '') return value === '' ? undefined : value
  if (value !== undefined && value !== '') {
    problems.push(`${name} and ${name}_FILE are both set: keep one of them`)
    return undefined
  }
  try {
    const content = readFileSync(file, 'utf8').trim()
    if (content !== '') return content
    problems.push(`${name}_FILE names a file that is empty`)
  } catch (error) {
    problems.push(`${name}_FILE cannot be read: ${(error as NodeJS.ErrnoException).code ?? 'unknown error'}`)
  }
  return undefined
}

export function isLoopbackHost(host: string): boolean {
  const bare = host.replace(/^\[(.*)\]$/, '$1')
  if (isIP(bare) === 0) return bare.toLowerCase() === 'localhost'
  return ipaddr.process(bare).range() === 'loopback'
}

/** A name within two typing errors of one of ours, which is itself unset, would be ignored in silence. */
function misspelt(env: Record<string, string | undefined>): string[] {
  const known: string[] = [...variableNames, ...variableNames.map((name) => `${name}_FILE`)]
  return Object.keys(env).flatMap((name) => {
    // One token for some other service is nothing unusual.
    if (known.includes(name) || name.length < 8 || name === 'API_TOKEN') return []
    const meant = known.find((candidate) => env[candidate] === undefined && distance(name, candidate) <= 2)
    return meant === undefined ? [] : [`${name} is unknown: did you mean ${meant}?`]
  })
}
