import type { RouteDoc } from './openapi/route-doc.ts'
import { pageOf } from './schemas/answer.ts'
import { secretAdd, secretAdded, secretShown } from './schemas/secret.ts'

/** What secretRoutes serves, of endpoints and of projects. */
export const secretDocs: RouteDoc[] = (['endpoint', 'project'] as const).flatMap((noun): RouteDoc[] => {
  const Noun = noun === 'endpoint' ? 'Endpoint' : 'Project'
  const [tag, path] = [`${noun}s`, `/api/v1/${noun}s/{id}/secrets`]
  const gone = { status: 204, description: 'It signs no more' }
  const wins =
    noun === 'endpoint'
      ? 'Its own win over those of a project.'
      : 'They sign what goes to endpoints that have none of their own.'
  return [
    {
      ...{ method: 'get', path, id: `list${Noun}Secrets`, tag },
      summary: `List the signing secrets of ${noun === 'endpoint' ? 'an endpoint' : 'a project'} by their fingerprints`,
      answer: { status: 200, description: 'Two at most', schema: pageOf(secretShown) },
    },
    {
      ...{ method: 'post', path, id: `add${Noun}Secret`, tag },
      summary: `Add a secret that deliveries are signed with (Standard Webhooks)`,
      description: `While there are two, both sign: add one, give it to the receiver, then remove the other. ${wins} The secret is answered once.`,
      body: { schema: secretAdd, optional: true },
      answer: { status: 201, description: 'The secret', schema: secretAdded },
      problems: { 409: 'There are two already, or it is one of them' },
    },
    {
      ...{ method: 'delete', path, id: `remove${Noun}Secrets`, tag },
      summary: `Remove all secrets of ${noun === 'endpoint' ? 'an endpoint' : 'a project'}: nothing is signed by them any more`,
      answer: gone,
    },
    {
      ...{ method: 'delete', path: `${path}/{fingerprint}`, id: `remove${Noun}Secret`, tag },
      summary: 'Remove one secret',
      answer: gone,
    },
  ]
})
