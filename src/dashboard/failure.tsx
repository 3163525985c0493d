import { STATUS_CODES } from 'node:http'
import type { Context } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import type { Env } from '../api/context.ts'
import { ApiError } from '../client/errors.ts'
import { page } from './layout.tsx'
import type { PageContext, PageServices } from './pages.ts'
import { sentence } from './words.ts'

/** What went wrong, as a page: what the API would answer, in words. */
export async function failurePage(c: PageContext, error: Error, { onError }: PageServices) {
  const { status, message, errors } = error instanceof ApiError ? error : await problemOf(c, error, onError)
  const title = STATUS_CODES[status] ?? 'Error'
  return page(
    c,
    { title, status: status as ContentfulStatusCode },
    <>
      <h1>{title}</h1>
      <div class="answer bad" role="alert">
        <p>
          <bdi>{sentence(message)}</bdi>.
        </p>
        {errors.length > 1 && (
          <ul>
            {errors.map(({ pointer, detail }) => (
              <li>
                <bdi>
                  {pointer.replace(/^#\//, '')} {detail}
                </bdi>
              </li>
            ))}
          </ul>
        )}
      </div>
      <p>
        <a href="/">Overview</a>
        {status === 401 && (
          <>
            {' · '}
            <a href="/login">Log in</a>
          </>
        )}
      </p>
    </>,
  )
}

async function problemOf(c: PageContext, error: Error, onError: PageServices['onError']): Promise<ApiError> {
  const response = await onError(error, c as unknown as Context<Env>)
  return new ApiError((await response.json()) as ConstructorParameters<typeof ApiError>[0])
}
