import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { watch } from 'node:fs'
import { access, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test, type TestContext } from 'node:test'
import pg from 'pg'
import type { Cluster } from '../../src/database/cluster/start.ts'
import { startEmbedded } from '../../src/database/embedded.ts'
import { onCleanup } from '../support/cleanup.ts'
import { databaseUrlWith } from '../support/database.ts'
import { eventually } from '../support/eventually.ts'

const settings = { shared_buffers: '16MB' }
const initdbFlags = ['--no-sync']

async function start(t: TestContext, directory: string, port = 0): Promise<Cluster> {
  const cluster = await startEmbedded({ directory, port, settings, initdbFlags })
  onCleanup(t, () => cluster.stop())
  return cluster
}

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return (await client.query<unknown[]>({ text, rowMode: 'array' })).rows.flat()
  } finally {
    await client.end()
  }
}

/** Not by its process id: where nobody reaps it, a process that has ended keeps that. */
async function assertGone({ url }: { url: string }): Promise<void> {
  await assert.rejects(query(url, 'select 1'), { code: 'ECONNREFUSED' })
}

/** Another process, in a group of its own, that starts the server on this directory and then waits. */
function spawnOwner(directory: string) {
  const module = join(import.meta.dirname, '../../src/database/embedded.ts')
  const options = JSON.stringify({ directory, settings, initdbFlags })
  const script = `
    const { startEmbedded } = await import(${JSON.stringify(module)})
    const { url, pid } = await startEmbedded(${options})
    console.log(JSON.stringify({ url, pid }))`
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', script], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  return {
    async started(): Promise<{ url: string; pid: number }> {
      const [line] = (await once(child.stdout, 'data')) as [Buffer]
      return JSON.parse(line.toString()) as { url: string; pid: number }
    },
    async signalGroup(signal: NodeJS.Signals): Promise<void> {
      process.kill(-(child.pid ?? Number.NaN), signal)
      await exited
    },
  }
}

describe('the embedded Postgres', { timeout: 60_000 }, () => {
  let directory: string

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'webhook-outbox-embedded-'))
  })
  after(() => rm(directory, { recursive: true }))

  test('keeps its data from one start to the next', async (t) => {
    const first = await start(t, directory)
    await query(first.url, 'create table kept as select 7 as value')
    await first.stop()
    const second = await start(t, directory)
    assert.deepEqual(await query(second.url, 'select value from kept'), [7])
    assert.match(String(await query(second.url, 'show server_version')), /^18\./)
    assert.deepEqual(await query(second.url, 'select current_database()'), ['webhook_outbox'])
  })

  test('listens on 127.0.0.1 only, and asks for a password that only its account can read', async (t) => {
    const { url } = await start(t, directory)
    assert.deepEqual(await query(url, 'show listen_addresses'), ['127.0.0.1'])
    assert.deepEqual(await query(url, 'show unix_socket_directories'), [''])
    assert.deepEqual(await query(url, 'show data_checksums'), ['on'])
    assert.deepEqual(await query(url, 'show server_encoding'), ['UTF8'])
    assert.equal((await stat(join(directory, 'password'))).mode & 0o777, 0o600)
    await assert.rejects(query(databaseUrlWith(url, { password: 'guess' }), 'select 1'), { code: '28P01' })
  })

  test('is gone after stop, which may be called again', async (t) => {
    const cluster = await start(t, directory)
    await Promise.all([cluster.stop(), cluster.stop()])
    await cluster.stop('immediate')
    await assertGone(cluster)
  })

  test('comes back on the same port where one is asked for', async (t) => {
    const first = await start(t, directory)
    await first.stop('immediate')
    const second = await start(t, directory, Number(new URL(first.url).port))
    assert.equal(second.url, first.url)
    assert.notEqual(second.pid, first.pid)
  })

  test('survives the end of the whole process group that started it, and is taken over', async (t) => {
    const owner = spawnOwner(directory)
    const left = await owner.started()
    await owner.signalGroup('SIGINT')
    const cluster = await start(t, directory)
    assert.deepEqual({ url: cluster.url, pid: cluster.pid }, left)
    // The killed owner holds no share any more: stop() does stop.
    await cluster.stop()
    await assertGone(left)
  })

  test('starts where its postmaster was killed', async (t) => {
    const killed = await start(t, directory)
    process.kill(killed.pid, 'SIGKILL')
    await eventually(() => assertGone(killed))
    const cluster = await start(t, directory)
    assert.notEqual(cluster.pid, killed.pid)
    assert.deepEqual(await query(cluster.url, 'select 1'), [1])
  })

  test('starts where a stale postmaster.pid names another living process', async (t) => {
    const crashed = await start(t, directory)
    const path = join(directory, 'data', 'postmaster.pid')
    const text = await readFile(path, 'utf8')
    await crashed.stop()
    await writeFile(path, text.replace(String(crashed.pid), String(process.ppid)))
    const cluster = await start(t, directory)
    assert.deepEqual(await query(cluster.url, 'select 1'), [1])
  })

  test('says what is wrong, with the end of its log, where the port that is asked for is taken', async (t) => {
    const other = createServer().listen(0, '127.0.0.1')
    onCleanup(t, () => other.close())
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    await assert.rejects(start(t, directory, port), /did not start; its log ends:[^]*Address already in use/)
  })
})

describe('a new directory', { timeout: 60_000 }, () => {
  async function newDirectory(t: TestContext): Promise<string> {
    const directory = await mkdtemp(join(tmpdir(), 'webhook-outbox-embedded-'))
    onCleanup(t, () => rm(directory, { recursive: true }))
    return directory
  }

  test('is not broken by an initdb that was interrupted', async (t) => {
    const directory = await newDirectory(t)
    const initialising = new Promise<void>((resolve) => {
      const watcher = watch(directory, (_, name) => {
        if (!name?.startsWith('data.init-')) return
        watcher.close()
        resolve()
      })
    })
    const owner = spawnOwner(directory)
    await initialising
    await owner.signalGroup('SIGKILL')
    await assert.rejects(access(join(directory, 'data')), { code: 'ENOENT' })

    const { url } = await start(t, directory)
    assert.deepEqual(await query(url, 'select 1'), [1])
  })

  test('loses what an interrupted initdb has left', async (t) => {
    const directory = await newDirectory(t)
    const unfinished = join(directory, `data.init-${process.pid}-0000`)
    await mkdir(unfinished, { recursive: true })
    await start(t, directory)
    assert.deepEqual((await readdir(directory)).sort(), ['data', 'password', 'server.log'])
  })

  test('serves two starts at the same moment from one server, until both have stopped', async (t) => {
    const directory = await newDirectory(t)
    const [one, two] = await Promise.all([start(t, directory), start(t, directory)])
    assert.deepEqual({ url: one.url, pid: one.pid }, { url: two.url, pid: two.pid })
    await one.stop()
    assert.deepEqual(await query(two.url, 'select 1'), [1])
    await two.stop()
    await assertGone(one)
  })
})
