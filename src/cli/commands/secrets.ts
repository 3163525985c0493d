import type { Client } from '../../client/client.ts'
import { command, UsageError, type Values } from '../command.ts'
import { connect, connectionOptions } from '../connection.ts'
import { endpointId } from '../filters.ts'
import type { Output } from '../output.ts'
import { program } from '../program.ts'

const options = {
  endpoint: { type: 'string', value: 'id or url', help: "an endpoint's own, which win" },
  project: { type: 'string', value: 'id', help: 'of a project, for endpoints that have none of their own' },
  secret: {
    type: 'string',
    value: 'whsec_…',
    help: 'with add: your own, which other users of this machine may see; else one is made',
  },
  fingerprint: { type: 'string', value: 'hex', help: 'with remove: which one, as list shows it' },
  all: { type: 'boolean', help: 'with remove: all of them; nothing is signed by them any more' },
  ...connectionOptions,
} as const

export const secrets = command({
  about: `Lists, adds or removes the secrets that deliveries are signed with (Standard Webhooks), of an endpoint or of a project.
Without any nothing is signed. There are two at most, and both sign: to replace one, add another, give it to the receiver, then
remove the first. A secret is printed once, when it is added; after that only its fingerprint is.`,
  arguments: [{ name: 'list, add or remove' }],
  options,
  examples: [
    'secrets add --endpoint https://host/hook',
    'secrets list --project project-1',
    'secrets remove --project project-1 --fingerprint 0123456789abcdef',
  ],
  async run({ values, args, out }) {
    const action = args[0]!
    const whose = ownerOf(values)
    if (action !== 'add' && values.secret !== undefined) throw new UsageError('--secret goes with add only')
    if (action !== 'remove' && (values.fingerprint !== undefined || values.all)) {
      throw new UsageError('--fingerprint and --all go with remove only')
    }
    const run = Object.hasOwn(actions, action) ? actions[action as keyof typeof actions] : undefined
    if (run === undefined) throw new UsageError(`"${action}" is none of list, add and remove`)
    return run(out, connect(values).client, whose, values)
  },
})

type Given = Values<typeof options>
type Whose = { kind: 'endpoint' | 'project'; id: string }

function ownerOf({ endpoint, project }: Given): Whose {
  if ((endpoint === undefined) === (project === undefined)) {
    throw new UsageError('say whose they are: --endpoint or --project')
  }
  return endpoint === undefined
    ? { kind: 'project', id: project! }
    : { kind: 'endpoint', id: endpointId(endpoint) }
}

async function list(out: Output, client: Client, { kind, id }: Whose, { json }: Given): Promise<number> {
  const page =
    kind === 'endpoint' ? await client.listEndpointSecrets(id) : await client.listProjectSecrets(id)
  if (json) out.json(page)
  else if (page.items.length === 0) out.line(`The ${kind} has no secrets.`)
  else {
    out.table(
      ['fingerprint'],
      page.items.map(({ fingerprint }) => [fingerprint]),
    )
  }
  return 0
}

async function add(out: Output, client: Client, { kind, id }: Whose, given: Given): Promise<number> {
  const body = given.secret === undefined ? {} : { secret: given.secret }
  const added =
    kind === 'endpoint' ? await client.addEndpointSecret(id, body) : await client.addProjectSecret(id, body)
  if (given.json) out.json(added)
  else {
    out.styled('bold', `deliveries of the ${kind} are signed from now on`)
    out.fields([
      ['secret', added.secret],
      ['fingerprint', added.fingerprint],
    ])
    out.note('It is not shown again: give it to the receiver now.')
  }
  return 0
}

async function remove(out: Output, client: Client, { kind, id }: Whose, given: Given): Promise<number> {
  const { fingerprint, all } = given
  if ((fingerprint === undefined) !== (all === true)) {
    throw new UsageError(`say which: --fingerprint, as ${program} secrets list shows it, or --all`)
  }
  if (fingerprint === undefined) {
    await (kind === 'endpoint' ? client.removeEndpointSecrets(id) : client.removeProjectSecrets(id))
  } else {
    await (kind === 'endpoint'
      ? client.removeEndpointSecret(id, fingerprint)
      : client.removeProjectSecret(id, fingerprint))
  }
  if (given.json) out.json({ removed: fingerprint ?? 'all' })
  else out.line('Removed: it signs no more.')
  return 0
}

const actions = { list, add, remove }
