/** Why this service itself ended an exchange. */
export class Cut extends Error {
  readonly why:
    'deadline' | 'aborted' | 'closed' | 'handshakes' | 'interim answers' | 'endless answer' | 'answered'

  constructor(why: Cut['why']) {
    super(why)
    this.why = why
  }
}
