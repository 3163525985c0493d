import { page } from './layout.tsx'
import type { PageContext } from './pages.ts'

/** @param next where to go then, a path of this service */
export function loginPage(c: PageContext, next: string, problem?: string) {
  return page(
    c,
    { title: 'Log in', status: problem === undefined ? 200 : 401 },
    <form method="post" action="/login" class="login">
      <h1>Log in</h1>
      {problem !== undefined && (
        <p class="banner" role="alert">
          {problem}
        </p>
      )}
      <input type="hidden" name="next" value={next} />
      <label>
        Token
        <input name="token" type="password" autocomplete="current-password" required autofocus />
      </label>
      <button class="primary">Log in</button>
      <small>
        One of the tokens that the service was started with (API_TOKENS). One with the role read sees
        everything and changes nothing.
      </small>
    </form>,
  )
}

/** Nobody is sent to another site by a link to the login. */
export function localPath(given: string | undefined): string {
  const base = 'http://localhost'
  const url = URL.parse(given ?? '/', base)
  return url?.origin === base && (given ?? '/').startsWith('/')
    ? url.pathname.replace(/^\/+/, '/') + url.search
    : '/'
}
