import {
  type Config,
  ConfigError,
  formatDuration,
  readConfig,
  type VariableName,
  variableNames,
} from '../../config.ts'
import { command } from '../command.ts'
import { withoutPassword } from '../database.ts'

export const checkConfig = command({
  about: `Checks the environment as the service does when it starts, and prints what each variable means, and where it is from.
Secrets are not shown: of the database's URL the password, of API_TOKENS the tokens, of OPERATOR_WEBHOOK_URL the path.

It exits with 2 where something is wrong, and names all of it.`,
  options: { json: { type: 'boolean', help: 'print JSON' } },
  examples: ['check-config'],
  run({ values, out }) {
    let config: Config
    try {
      config = readConfig(process.env)
    } catch (error) {
      if (!(error instanceof ConfigError) || !values.json) throw error
      out.json({ valid: false, problems: error.problems })
      return Promise.resolve(2)
    }
    const effective = variableNames.map((name) => ({
      name,
      value: shown[name](config),
      from: sourceOf(name),
    }))
    if (values.json) out.json({ valid: true, variables: effective })
    else {
      out.table(
        ['variable', 'value', 'from'],
        effective.map(({ name, value, from }) => [name, value, from]),
      )
      out.text('\nThe configuration is valid.')
    }
    return Promise.resolve(0)
  },
})

function sourceOf(name: VariableName): 'environment' | 'file' | 'default' {
  if (process.env[`${name}_FILE`]) return 'file'
  return process.env[name] ? 'environment' : 'default'
}

const none = 'none'
const list = (values: readonly string[]) => (values.length === 0 ? none : values.join(','))

const shown: Record<VariableName, (config: Config) => string> = {
  DATABASE_URL: ({ databaseUrl }) =>
    databaseUrl === undefined ? 'the embedded Postgres' : withoutPassword(databaseUrl),
  LISTEN_DATABASE_URL: ({ listenDatabaseUrl }) =>
    listenDatabaseUrl === undefined ? 'the embedded Postgres' : withoutPassword(listenDatabaseUrl),
  ROLE: ({ role }) => role,
  HOST: ({ host }) => host,
  PORT: ({ port }) => String(port),
  API_TOKENS: ({ apiTokens }) => list(apiTokens.map(({ role, name }) => `${role}:${name}:***`)),
  RETRY_SCHEDULE: ({ retrySchedule }) => list(retrySchedule.map(formatDuration)),
  DELIVERY_TIMEOUT: ({ deliveryTimeoutMs }) => formatDuration(deliveryTimeoutMs),
  AGENT_STUCK_AFTER: ({ agentStuckAfterMs }) => formatDuration(agentStuckAfterMs),
  STUCK_SWEEP_INTERVAL: ({ stuckSweepIntervalMs }) => formatDuration(stuckSweepIntervalMs),
  MAX_IN_FLIGHT: ({ maxInFlight }) => String(maxInFlight),
  MAX_IN_FLIGHT_PER_ENDPOINT: ({ maxInFlightPerEndpoint }) => String(maxInFlightPerEndpoint),
  LEASE: ({ leaseMs }) => formatDuration(leaseMs),
  POLL_INTERVAL: ({ pollIntervalMs }) => formatDuration(pollIntervalMs),
  ADDRESS_POLICY: ({ addressPolicy }) => addressPolicy,
  ADDRESS_ALLOW: ({ addressAllow }) => list(addressAllow),
  ADDRESS_DENY: ({ addressDeny }) => list(addressDeny),
  RETENTION: ({ retentionMs }) => formatDuration(retentionMs),
  DEAD_RETENTION: ({ deadRetentionMs }) => formatDuration(deadRetentionMs),
  MAX_OWED_AGE: ({ maxOwedAgeMs }) => formatDuration(maxOwedAgeMs),
  RECOVER_WINDOW: ({ recoverWindowMs }) => formatDuration(recoverWindowMs),
  INSTALLATION: ({ installation }) => installation ?? none,
  OPERATOR_WEBHOOK_URL: ({ operatorWebhookUrl }) =>
    operatorWebhookUrl === undefined ? none : `${new URL(operatorWebhookUrl).origin}/***`,
  SHUTDOWN_GRACE: ({ shutdownGraceMs }) => formatDuration(shutdownGraceMs),
  LOG_LEVEL: ({ logLevel }) => logLevel,
}
