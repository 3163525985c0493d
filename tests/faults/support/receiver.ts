import { type Answer, createReceiver, type ReceivedRequest, type Receiver } from '../../support/receiver.ts'
import type { Journal } from './journal.ts'

/** One POST as a receiver saw it: a line when it arrived, and one when it was answered. */
export interface Received {
  id: string
  task: string
  attempt: number
  /** Absent where it arrived; the status where it was answered, on the disk before the answer goes out. */
  status?: number
  /** Milliseconds since 1970. */
  at: number
}

/** What to answer to a request: it may take its time. */
export type Behaviour = (request: ReceivedRequest, n: number) => Answer | Promise<Answer>

export interface JournalingReceiver extends Pick<Receiver, 'url' | 'requests' | 'waitFor' | 'close'> {
  behave(behaviour: Behaviour): void
  /** Requests that arrive from now on wait for `release`. */
  hold(): void
  release(): void
}

/** A receiver that writes each POST to the journal, and its answer before it gives it. It answers 200 unless told otherwise. */
export async function createJournalingReceiver(
  journal: Journal<Received>,
  behaviour: Behaviour = () => ({ status: 200 }),
): Promise<JournalingReceiver> {
  let gate: PromiseWithResolvers<void> | undefined
  let behave = behaviour
  const receiver = await createReceiver({
    answer: async (request, n) => {
      const seen = {
        id: String(request.headers['webhook-id']),
        task: taskOf(request),
        attempt: Number(request.headers['webhook-attempt']),
      }
      await journal.append({ ...seen, at: Date.now() })
      await gate?.promise
      const answer = await behave(request, n)
      if (typeof answer !== 'string') await journal.append({ ...seen, status: answer.status, at: Date.now() })
      return answer
    },
  })
  return {
    url: (path) => receiver.url(path),
    requests: receiver.requests,
    waitFor: ((wanted: never, options) => receiver.waitFor(wanted, options)) as Receiver['waitFor'],
    close: () => receiver.close(),
    behave: (next) => void (behave = next),
    hold: () => void (gate ??= Promise.withResolvers<void>()),
    release: () => {
      gate?.resolve()
      gate = undefined
    },
  }
}

/** A payload that a test put in by SQL may be anything. */
function taskOf(request: ReceivedRequest): string {
  try {
    return request.body.task_id ?? ''
  } catch {
    return ''
  }
}
