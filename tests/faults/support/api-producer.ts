import { request } from 'undici'
import type { Journal } from './journal.ts'
import type { Note, Producer } from './producer.ts'

/** Completes tasks by the HTTP API. An answer that is none of success leaves the change in doubt, as does a lost one. */
export function createApiProducer(options: {
  url: () => string
  prepare: Producer['prepare']
  log: Journal<Note>
}): Pick<Producer, 'commit'> {
  const { url, prepare, log } = options
  return {
    async commit(count = 1) {
      const committed: string[] = []
      for (const task of await prepare(count)) {
        await log.append({ outcome: 'begun', tasks: [task] })
        const status = await patch(`${url()}/api/v1/tasks/${task}`, { status: 'completed' })
        if (status !== 200) continue
        await log.append({ outcome: 'committed', tasks: [task] })
        committed.push(task)
      }
      return committed
    },
  }
}

/** @returns null where no answer came */
async function patch(url: string, body: object): Promise<number | null> {
  try {
    const answer = await request(url, {
      method: 'PATCH',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      headersTimeout: 20_000,
    })
    await answer.body.dump()
    return answer.statusCode
  } catch {
    return null
  }
}
