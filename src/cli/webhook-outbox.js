#!/usr/bin/env node
// The command line. It runs on the Node that package.json's engines name: this one, or else the one in node_modules.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const wanted = 24
const [major] = process.versions.node.split('.')
const local = fileURLToPath(new URL('../../node_modules/node/bin/node', import.meta.url))

if (Number(major) >= wanted) {
  const { register } = await import('tsx/esm/api')
  register()
  const { run } = await import('./run.ts')
  await run(process.argv.slice(2))
} else if (existsSync(local)) {
  const child = spawn(local, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit' })
  // A terminal's Ctrl-C reaches both; the one that works decides when it is over.
  process.on('SIGINT', () => undefined)
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  child.on('exit', (status) => (process.exitCode = status ?? 1))
} else {
  process.stderr.write(
    `webhook-outbox needs Node ${wanted} or newer, and this is ${process.version}: install it, or run npm ci\n`,
  )
  process.exitCode = 2
}
