import type { Command } from './command.ts'

/** One command: its name, its line in the help of all, and its module, which is loaded when it is asked for. */
export interface Entry {
  summary: string
  load: () => Promise<Command>
}

export const commands: Readonly<Record<string, Entry>> = {
  status: {
    summary: 'what is owed, to whom, and what is wrong',
    load: async () => (await import('./commands/status.ts')).status,
  },
  deliveries: {
    summary: 'list events by what became of them',
    load: async () => (await import('./commands/deliveries.ts')).deliveries,
  },
  show: {
    summary: 'why an event has not arrived, and every attempt',
    load: async () => (await import('./commands/show.ts')).show,
  },
  replay: {
    summary: 'deliver settled events again, one or many',
    load: async () => (await import('./commands/replay.ts')).replay,
  },
  discard: {
    summary: 'give up events that are owed, one or many',
    load: async () => (await import('./commands/discard.ts')).discard,
  },
  endpoints: {
    summary: 'list endpoints, or show one: health, limits, what is owed',
    load: async () => (await import('./commands/endpoints.ts')).endpoints,
  },
  pause: {
    summary: 'let what is owed to an endpoint wait',
    load: async () => (await import('./commands/pause.ts')).pause,
  },
  resume: {
    summary: 'let it flow again',
    load: async () => (await import('./commands/resume.ts')).resume,
  },
  test: {
    summary: 'send one test event to an endpoint',
    load: async () => (await import('./commands/test.ts')).test,
  },
  secrets: {
    summary: 'list, add or remove what deliveries are signed with',
    load: async () => (await import('./commands/secrets.ts')).secrets,
  },
  listen: {
    summary: 'a receiver for development: prints and checks what arrives',
    load: async () => (await import('./commands/listen.ts')).listen,
  },
  'confirm-installation': {
    summary: 'say that this installation sends the events of this database',
    load: async () => (await import('./commands/confirm-installation.ts')).confirmInstallation,
  },
  doctor: {
    summary: 'look at the database: what is wrong, and how to mend it',
    load: async () => (await import('./commands/doctor.ts')).doctor,
  },
  migrate: {
    summary: 'bring the database to this version',
    load: async () => (await import('./commands/migrate.ts')).migrate,
  },
  'check-config': {
    summary: 'check the environment as the service does, and print what it means',
    load: async () => (await import('./commands/check-config.ts')).checkConfig,
  },
}
