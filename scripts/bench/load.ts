import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import type { CaseContext } from './case.ts'
import type { Guard } from './guard.ts'
import { connect } from './stage.ts'

/** A transaction's statements, which several connections repeat for a while. */
export interface Load {
  url: string
  clients: number
  /** Ids are drawn from 1 to this. */
  tasks: number
  seconds: number
  script: Statement[]
  guard: Guard
}

/** SQL with `:id`, the task's number, and `:name` for each column of the statements before it that are kept. */
export interface Statement {
  sql: string
  keep?: true
}

export interface LoadResult {
  transactions: number
  elapsedMs: number
}

/** By pgbench; where there is none on the PATH, by connections of this process, whose own speed then counts too. */
export async function chooseLoad(
  { stage }: CaseContext,
  url: string,
): Promise<{ by: string; run: (load: Omit<Load, 'url' | 'guard'>) => Promise<LoadResult> }> {
  const own = { url, guard: stage.guard }
  const probe = await runPgbench({ ...own, clients: 1, tasks: 1, seconds: 1, script: [{ sql: 'select 1' }] })
  return probe === undefined
    ? { by: 'connections of this process', run: (load) => runWriters({ ...own, ...load }) }
    : { by: 'pgbench', run: async (load) => (await runPgbench({ ...own, ...load }))! }
}

/**
 * The load by pgbench; undefined where there is none on the PATH.
 * @throws where pgbench fails
 */
async function runPgbench(load: Load): Promise<LoadResult | undefined> {
  const { hostname, port, username, password, pathname } = new URL(load.url)
  const args = ['-n', '-M', 'prepared', '-f', '-', '-c', String(load.clients), '-j', '2']
  const target = ['-h', hostname, '-p', port, '-U', username, '-T', String(load.seconds), pathname.slice(1)]
  // The password goes by the environment: everybody can read a command line.
  const env = { ...process.env, PGPASSWORD: decodeURIComponent(password) }
  const child = spawn('pgbench', [...args, ...target], { env })
  const exited = new Promise<number | null>((done, reject) => {
    child.once('error', reject)
    child.once('exit', done)
  })
  const missing = await new Promise<boolean>((answer) => {
    child.once('spawn', () => answer(false))
    child.once('error', () => answer(true))
  })
  if (missing) {
    exited.catch(() => undefined)
    return undefined
  }
  await load.guard.watch(child.pid!, 'SIGTERM')
  const lines = load.script.map(({ sql, keep }) => `${oneLine(sql)}${keep ? ' \\gset' : ';'}`)
  child.stdin.end(`\\set id random(1, ${load.tasks})\n${lines.join('\n')}\n`)
  const [output, errors, code] = await Promise.all([text(child.stdout), text(child.stderr), exited])
  await load.guard.forget(child.pid!)
  const transactions = /number of transactions actually processed: (\d+)/.exec(output)?.[1]
  const rate = /tps = ([\d.]+) \(without initial connection time\)/.exec(output)?.[1]
  if (code !== 0 || transactions === undefined || rate === undefined) {
    throw new Error(`pgbench failed (${code}): ${errors.trim().slice(-1_000)}`)
  }
  return { transactions: Number(transactions), elapsedMs: (Number(transactions) * 1_000) / Number(rate) }
}

/** The same load by connections of this process. */
async function runWriters({ url, clients, tasks, seconds, script }: Load): Promise<LoadResult> {
  const connections = await Promise.all(Array.from({ length: clients }, () => connect(url)))
  const statements = script.map((statement, n) => ({ ...prepare(statement.sql, n), keep: statement.keep }))
  const beganAt = performance.now()
  const endAt = beganAt + seconds * 1_000
  let transactions = 0
  await Promise.all(
    connections.map(async (connection) => {
      while (performance.now() < endAt) {
        const values: Record<string, unknown> = { id: String(1 + Math.floor(Math.random() * tasks)) }
        for (const { name, text, variables, keep } of statements) {
          const { rows } = await connection.query({ name, text, values: variables.map((key) => values[key]) })
          if (keep) Object.assign(values, rows[0])
        }
        transactions += 1
      }
    }),
  )
  const elapsedMs = performance.now() - beganAt
  await Promise.all(connections.map((connection) => connection.end()))
  return { transactions, elapsedMs }
}

/** pgbench's variables as parameters of a prepared statement; a cast is no variable. */
function prepare(sql: string, n: number): { name: string; text: string; variables: string[] } {
  const variables: string[] = []
  const text = sql.replace(/(?<!:):([a-z]\w*)/g, (_, variable: string) => {
    if (!variables.includes(variable)) variables.push(variable)
    return `$${variables.indexOf(variable) + 1}`
  })
  return { name: `statement-${n}`, text, variables }
}

function oneLine(sql: string): string {
  return sql.replace(/\s+/g, ' ').trim()
}
