/**
 * npm run test:mutants [-- <part of a name>…]: applies each mutant of mutants/list.ts to a copy of the tree and runs the test that
 * must notice. First the same tests run on the copy as it is: a test that is red anyway notices nothing. Fails where a mutant
 * survives.
 */
import { spawn } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { startTestServer } from '../tests/support/server.ts'
import { type Mutant, mutants } from './mutants/list.ts'

const root = resolve(import.meta.dirname, '..')
const COPIED = ['src', 'db', 'scripts', 'tests', 'package.json', 'tsconfig.json']
/** Of one test: a mutant may make it wait for ever. */
const TEST_TIMEOUT_MS = 25_000
const RUN_TIMEOUT_MS = 120_000

interface Run {
  output: string
  /** Names of the tests that ran, and of those that failed. */
  passed: Set<string>
  failed: Set<string>
}

async function main(): Promise<number> {
  const wanted = process.argv.slice(2)
  const chosen = mutants.filter(
    ({ name }) => wanted.length === 0 || wanted.some((part) => name.includes(part)),
  )
  const tree = await mkdtemp(join(tmpdir(), 'webhook-outbox-mutants-'))
  const server = await startTestServer()
  try {
    for (const path of COPIED) await cp(join(root, path), join(tree, path), { recursive: true })
    await symlink(join(root, 'node_modules'), join(tree, 'node_modules'))
    // All are looked at before the first one runs: it takes minutes.
    for (const mutant of chosen) await mutate(tree, mutant)
    const red = await redWithoutMutants(tree, chosen, server.environment)
    if (red.length > 0) {
      console.error(`red without any mutant:\n${red.join('\n')}`)
      return 1
    }
    return await killAll(tree, chosen, server.environment)
  } finally {
    await server.stop()
    await rm(tree, { recursive: true, force: true })
  }
}

/** @returns how many survived */
async function killAll(tree: string, chosen: Mutant[], environment: Record<string, string>): Promise<number> {
  const table: Record<string, string | number>[] = []
  let survivors = 0
  for (const mutant of chosen) {
    const original = await readFile(join(tree, mutant.file), 'utf8')
    const start = performance.now()
    await writeFile(join(tree, mutant.file), await mutate(tree, mutant))
    const [file, name] = mutant.test
    const { failed, passed, output } = await run(tree, file, [name], environment)
    await writeFile(join(tree, mutant.file), original)
    const result = failed.has(name) ? 'killed' : passed.has(name) ? 'SURVIVED' : 'DID NOT RUN'
    const seconds = Math.round((performance.now() - start) / 100) / 10
    table.push({ mutant: mutant.name, result, seconds, by: name.slice(0, 70) })
    console.log(`${result.padEnd(11)} ${mutant.name} (${seconds} s)`)
    if (result === 'killed') continue
    survivors++
    console.log(output.slice(-4_000))
  }
  console.table(table)
  console.log(`${chosen.length - survivors} of ${chosen.length} mutants were killed`)
  return survivors
}

/** The text of the mutated file. @throws where what it replaces is not there, or not only once */
async function mutate(tree: string, { name, file, search, replace }: Mutant): Promise<string> {
  const text = await readFile(join(tree, file), 'utf8')
  const found = text.split(search).length - 1
  if (found !== 1) throw new Error(`mutant "${name}": its text occurs ${found} times in ${file}:\n${search}`)
  return text.replace(search, () => replace)
}

/** What is red or does not run on the tree as it is. */
async function redWithoutMutants(
  tree: string,
  chosen: Mutant[],
  environment: Record<string, string>,
): Promise<string[]> {
  const byFile = new Map<string, Set<string>>()
  for (const { test } of chosen) byFile.set(test[0], (byFile.get(test[0]) ?? new Set()).add(test[1]))
  const red: string[] = []
  for (const [file, names] of byFile) {
    const { passed, output } = await run(tree, file, [...names], environment)
    const missing = [...names].filter((name) => !passed.has(name))
    if (missing.length > 0) console.error(output.slice(-4_000))
    red.push(...missing.map((name) => `${file}: ${name}`))
  }
  return red
}

/** Runs tests of a file by scripts/test.ts, which migrates a template of its own: by the mutated migrations. */
async function run(
  tree: string,
  file: string,
  names: string[],
  environment: Record<string, string>,
): Promise<Run> {
  const patterns = names.map(
    (name) => `^${name.replace(/[.*+?^${}()|[\]\\/]/g, (char) => (char === '/' ? '.' : `\\${char}`))}$`,
  )
  const child = spawn(process.execPath, ['--import', 'tsx', 'scripts/test.ts', file, ...patterns], {
    cwd: tree,
    env: { ...process.env, ...environment, TEST_TIMEOUT_MS: String(TEST_TIMEOUT_MS), FORCE_COLOR: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data: Buffer) => {
      output += data.toString()
      // Enough is known; what the mutant left running is not waited for.
      if (names.some((name) => output.includes(`✖ ${name}`))) child.kill()
    })
  }
  const timer = setTimeout(() => child.kill(), RUN_TIMEOUT_MS)
  await new Promise((done, reject) => {
    child.on('error', reject)
    child.on('close', done)
  })
  clearTimeout(timer)
  const namesAfter = (mark: string) =>
    new Set(
      output
        .split('\n')
        .filter((line) => line.trimStart().startsWith(mark))
        .map((line) =>
          line
            .trim()
            .slice(2)
            .replace(/ \([\d.]+ms\).*$/, ''),
        ),
    )
  return { output, passed: namesAfter('✔'), failed: namesAfter('✖') }
}

process.exitCode = (await main()) === 0 ? 0 : 1
