/** How this was called, so that a command that is named can be copied as it stands. */
export const program = calledAs(process.env['npm_command'])

function calledAs(npmCommand: string | undefined): string {
  if (npmCommand === 'exec') return 'npx webhook-outbox'
  return npmCommand === 'run' || npmCommand === 'run-script' ? 'npm run cli --' : 'webhook-outbox'
}
