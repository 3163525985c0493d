import { command, UsageError } from '../command.ts'
import { connect, connectionOptions } from '../connection.ts'

export const confirmInstallation = command({
  about: `Says which installation sends the events of this database: the one whose services run with this INSTALLATION.

A database that was copied (a restored backup, a clone for staging) still holds the name of its original. A service under
another name, or none, sends nothing from it, so that no receiver gets an event twice. Confirm only where the original no longer
sends, or where its receivers are not those that are configured in the copy. Services notice it within a few seconds.

It exits with 1 where the service that was asked still does not send, because it runs under another name.`,
  arguments: [{ name: 'name', optional: true }],
  options: {
    none: { type: 'boolean', help: 'forget the name: services without INSTALLATION send' },
    ...connectionOptions,
  },
  examples: ['confirm-installation production', 'confirm-installation --none'],
  async run({ values, args, out }) {
    const [name = null] = args
    if ((name === null) !== (values.none === true)) {
      throw new UsageError('give the name that the services run under (INSTALLATION), or --none')
    }
    const after = await connect(values).client.confirmInstallation({ name })
    if (values.json) out.json(after)
    else {
      out.styled('bold', name === null ? 'no name is stored any more' : `the installation is ${name}`)
      out.fields([
        ['this service runs as', after.running ?? 'none'],
        ['it sends', after.sends ? 'yes' : 'no'],
        ['why', after.detail],
      ])
    }
    return after.sends ? 0 : 1
  },
})
