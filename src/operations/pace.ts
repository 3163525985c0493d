/** Batches a second that a rate is spread over: it then goes out evenly, and one batch is soon done. */
const perSecond = 4
/** Each event of a batch holds its locks until the batch commits. */
const largest = 500

/**
 * How many events of an operation have their turn together: 1/s → 1, 200/s → 50, 10,000/s → 500.
 * @param rate events a second
 */
export function batchSize(rate: number): number {
  return Math.min(Math.max(Math.ceil(rate / perSecond), 1), largest)
}
