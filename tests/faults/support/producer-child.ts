/** A producer as a process of its own, for a test that kills it: changes tasks without a pause until it is killed. */
import { createLog } from '../../../src/observe/log.ts'
import { Journal } from './journal.ts'
import { createProducer, type Note } from './producer.ts'

const { DATABASE_URL, WEBHOOK_URL, NOTES } = process.env
const log = createLog('info')
const notes = await Journal.open<Note>(NOTES!)
const producer = createProducer({ databaseUrl: DATABASE_URL!, log: notes, webhookUrls: [WEBHOOK_URL!] })
for (let changes = 0; ; changes++) {
  await producer.commit(2)
  await producer.commitInBulk(5)
  if (changes === 0) log.info('producing')
}
