import { randomUUID } from 'node:crypto'
import pg from 'pg'
import pgListen, { type Subscriber } from 'pg-listen'
import { channel } from '../../db/capture.ts'
import type { Log } from '../observe/log.ts'

/**
 * Listens for the NOTIFY that a capture sends while somebody sleeps. A notification is a hint: the dispatcher's poll
 * is the guarantee.
 *
 * A connection whose other end is gone without a word (a half-open socket) looks healthy for ever. So every
 * `checkIntervalMs` this listener sends a notification that carries its own name, through the same connection, and
 * replaces the connection where it has not come back by the next check. `onWake` is also called after each (re)connect,
 * because what was sent meanwhile is lost; it is told whether there was a notification.
 */
export interface ListenerOptions {
  url: string
  log: Log
  onWake: (notified: boolean) => void
  /** Milliseconds between checks, and the longest that one may take; default 5,000. */
  checkIntervalMs?: number
  /** Milliseconds between tries to connect; default 500. */
  retryIntervalMs?: number
}

// A CommonJS module: its default export is a property of what is imported.
const createSubscriber = pgListen.default

export class Listener {
  readonly #options: ListenerOptions
  #session: Session | undefined
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  constructor(options: ListenerOptions) {
    this.#options = options
  }

  /** Begins to connect, and returns: Postgres may be away, and is waited for. */
  start(): void {
    if (this.#session !== undefined || this.#stopped) return
    this.#session = new Session(this.#options)
    this.#timer = setInterval(() => this.#check(), this.#options.checkIntervalMs ?? 5_000)
  }

  /** Its connection is up, as far as is known: where the other end is gone without a word, the next checks find out. */
  get connected(): boolean {
    return this.#session?.connected ?? false
  }

  async stop(): Promise<void> {
    this.#stopped = true
    clearInterval(this.#timer)
    await this.#session?.close()
  }

  #check(): void {
    if (this.#session?.answers() !== false) return
    this.#options.log.warn('the listener does not answer: its connection is replaced')
    void this.#session.close()
    this.#session = new Session(this.#options)
  }
}

/** One subscriber of pg-listen, which reconnects by itself when its connection ends. */
class Session {
  readonly #subscriber: Subscriber
  readonly #name = randomUUID()
  #connected = false
  #echoed = true
  #closed = false

  constructor({ url, log, onWake, retryIntervalMs = 500 }: ListenerOptions) {
    const subscriber = createSubscriber(
      { connectionString: url, application_name: 'webhook-outbox listen', connectionTimeoutMillis: 5_000 },
      {
        // Its own check has no deadline.
        paranoidChecking: false,
        // By default it gives up after three seconds. Its loop has no other exit than an error from here.
        retryTimeout: Number.POSITIVE_INFINITY,
        retryInterval: () => {
          if (this.#closed) throw new Error('the listener was closed')
          return retryIntervalMs
        },
        // Payloads are no JSON.
        parse: (payload) => payload,
        serialize: (payload) => payload as string,
      },
    )
    this.#subscriber = subscriber
    subscriber.events.on('error', (error) => {
      if (!this.#closed) log.warn({ err: error }, 'the listener failed')
    })
    subscriber.events.on('reconnect', (attempt) => {
      this.#connected = false
      if (attempt === 1 && !this.#closed) log.warn('the listener has no connection, and connects again')
    })
    subscriber.events.on('connected', () => {
      // It may have been closed while it was connecting.
      if (this.#closed) return void this.#end()
      this.#connected = true
      this.#echoed = true
      onWake(false)
    })
    subscriber.notifications.on(channel, (payload: string | undefined) => {
      if (payload === this.#name) this.#echoed = true
      // A capture's notification is empty; one that carries a name is some other listener's echo.
      else if (payload === undefined) onWake(true)
    })
    // Queued until the connection is up; where it fails, its reconnect subscribes again.
    this.#quietly(subscriber.listenTo(channel))
    this.#quietly(subscriber.connect())
  }

  get connected(): boolean {
    return this.#connected && !this.#closed
  }

  /** Whether the last check came back; sends the next one. True while there is no connection to check. */
  answers(): boolean {
    if (!this.#connected) return true
    if (!this.#echoed) return false
    this.#echoed = false
    this.#quietly(
      this.#subscriber.notify(channel, this.#name)?.catch((error: unknown) => {
        // Refused (the notification queue is full), which is an answer, too.
        if (error instanceof pg.DatabaseError) this.#echoed = true
      }),
    )
    return true
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#end()
  }

  async #end(): Promise<void> {
    // On a half-open socket the goodbye never ends.
    const patience = new Promise((resolve) => setTimeout(resolve, 1_000).unref())
    await Promise.race([this.#subscriber.close().catch(() => undefined), patience])
  }

  /** What fails here shows as a missing connection, or as a missing echo. */
  #quietly(promise: Promise<unknown> | undefined): void {
    promise?.catch(() => undefined)
  }
}
