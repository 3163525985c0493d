import { ApiError } from '../client/errors.ts'

/** Undefined for a 404. */
export async function orNothing<Found>(found: Promise<Found>): Promise<Found | undefined> {
  return found.catch((error: unknown) => {
    if (error instanceof ApiError && error.status === 404) return undefined
    throw error
  })
}
