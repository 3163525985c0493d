import { join } from 'node:path'
import { ConfigError, readConfig, type Config } from './config.ts'
import type { Cluster } from './database/cluster/start.ts'
import { embeddedDirectory, startEmbedded } from './database/embedded.ts'
import { migrateToLatest } from './database/migrate.ts'
import { createLog, type Log } from './observe/log.ts'
import { type Service, startService } from './service.ts'

/** The process: configuration, signals and exit codes. 0 after a signal, 1 on a failure, 2 on a bad configuration. */
async function main(): Promise<void> {
  const config = configOrExit()
  const log = createLog(config.logLevel)
  const running = new ServiceProcess(config, log)
  let ending = false
  const end = async (signal: NodeJS.Signals) => {
    // Whoever sends a second signal does not want to wait any longer.
    if (ending) process.exit(1)
    ending = true
    log.info({ signal }, 'stopping')
    await running.stop()
    log.info('stopped')
    process.exit(0)
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void end(signal).catch(fail))
  await running.start().catch(async (error: unknown) => {
    await running.stop()
    throw error
  })
}

/** What has been started, step by step, so that it can be stopped after each. */
class ServiceProcess {
  readonly #config: Config
  readonly #log: Log
  #cluster: Cluster | undefined
  #service: Service | undefined
  #starting: Promise<void> | undefined
  #stopping = false

  constructor(config: Config, log: Log) {
    this.#config = config
    this.#log = log
  }

  start(): Promise<void> {
    return (this.#starting ??= this.#start())
  }

  /** A start that is under way is waited for up to its next step: nothing that it has begun is left behind. */
  async stop(): Promise<void> {
    this.#stopping = true
    await this.#starting?.catch(() => undefined)
    await this.#service?.stop()
    await this.#cluster?.stop()
  }

  async #start(): Promise<void> {
    const databaseUrl = this.#config.databaseUrl ?? (await this.#startEmbedded())
    if (this.#stopping) return
    const listenDatabaseUrl = this.#config.listenDatabaseUrl ?? databaseUrl
    this.#service = await startService({ ...this.#config, databaseUrl, listenDatabaseUrl }, this.#log)
    this.#log.info({ url: this.#service.url, role: this.#config.role }, 'serving')
    if (!this.#stopping) process.stderr.write(welcome(this.#service.url, this.#cluster, this.#config))
  }

  async #startEmbedded(): Promise<string> {
    const directory = embeddedDirectory
    this.#cluster = await startEmbedded({ directory, log: (message) => this.#log.info(message) })
    if (!this.#stopping) await migrateToLatest(this.#cluster.url)
    return this.#cluster.url
  }
}

function configOrExit(): Config {
  try {
    return readConfig(process.env)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exit(2)
  }
}

function welcome(url: string, cluster: Cluster | undefined, config: Config): string {
  const token = config.apiTokens.length > 0 ? ' --token <token>' : ''
  return [
    '',
    `  webhook-outbox serves ${url}`,
    cluster ? embeddedHint(cluster) : '  on DATABASE_URL',
    '',
    '  what is owed, and what is wrong:',
    `    npx webhook-outbox status --url ${url}${token}`,
    '  the API, as a page:',
    `    ${url}/docs`,
    '  whether it is ready:',
    `    curl -s ${url}/readyz`,
    '',
    '',
  ].join('\n')
}

/** The password is in a file that only its account can read, and not in a log. */
function embeddedHint({ url, directory }: Cluster): string {
  const address = new URL(url)
  address.password = ''
  return `  on the embedded Postgres: PGPASSWORD=$(cat '${join(directory, 'password')}') psql ${address.href}`
}

function fail(error: unknown): never {
  const { code, port } = error as { code?: string; port?: number }
  const hint = code === 'EADDRINUSE' ? `port ${port} is in use: set PORT to another one` : undefined
  const reason = hint ?? (error instanceof Error ? error.message : String(error))
  process.stderr.write(`webhook-outbox ended by a failure: ${reason}\n`)
  process.exit(1)
}

main().catch(fail)
