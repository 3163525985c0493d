/** Preloaded (`--import`) into a process whose wall clock is to be wrong by CLOCK_SHIFT_MS. */
const shiftMs = Number(process.env['CLOCK_SHIFT_MS'] ?? 0)
const RealDate = Date

class ShiftedDate extends RealDate {
  constructor(...args: unknown[]) {
    // `new Date()` reads the clock; everything else is a time that somebody gave.
    super(...((args.length === 0 ? [RealDate.now() + shiftMs] : args) as [number]))
  }

  static override now(): number {
    return RealDate.now() + shiftMs
  }
}

globalThis.Date = ShiftedDate as DateConstructor
