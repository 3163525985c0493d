import type { z } from 'zod'
import type { HostTable } from '../host-rows.ts'
import { pageOf } from '../schemas/answer.ts'
import type { RouteDoc } from './route-doc.ts'

export interface DescribedResource {
  table: HostTable
  noun: string
  /** As in Resource (see src/api/resource.ts), from the same source. */
  schemas: { create: z.ZodObject; patch?: z.ZodObject; list: z.ZodObject }
  /** What answers show of it. */
  item: z.ZodType
  /** What a patch does besides, for its description. */
  patchDescription?: string
  patchHeaders?: RouteDoc['headers']
}

/** What resourceRoutes serves: POST and GET of all, GET and PATCH of one. */
export function resourceDocs(resource: DescribedResource): RouteDoc[] {
  const { table, noun, schemas, item } = resource
  const name = `${noun[0]!.toUpperCase()}${noun.slice(1)}`
  const path = `/api/v1/${table}`
  const a = /^[aeiou]/.test(noun) ? 'an' : 'a'
  const operations: RouteDoc[] = [
    {
      method: 'post',
      path,
      id: `create${name}`,
      tag: table,
      summary: `Create ${a} ${noun}`,
      body: { schema: schemas.create },
      answer: {
        status: 201,
        description: `The ${noun}`,
        schema: item,
        headers: { location: `Path of the ${noun}` },
      },
      problems: { 409: `There is already ${a} ${noun} with this id` },
    },
    {
      method: 'get',
      path,
      id: `list${name}s`,
      tag: table,
      summary: `List ${table}`,
      query: schemas.list,
      answer: { status: 200, description: 'A page', schema: pageOf(item) },
    },
    {
      method: 'get',
      path: `${path}/{id}`,
      id: `get${name}`,
      tag: table,
      summary: `Show ${a} ${noun}`,
      answer: { status: 200, description: `The ${noun}`, schema: item },
    },
  ]
  if (schemas.patch === undefined) return operations
  operations.push({
    method: 'patch',
    path: `${path}/{id}`,
    id: `update${name}`,
    tag: table,
    summary: `Change ${a} ${noun}`,
    ...(resource.patchDescription === undefined ? {} : { description: resource.patchDescription }),
    ...(resource.patchHeaders === undefined ? {} : { headers: resource.patchHeaders }),
    body: { schema: schemas.patch, patch: true },
    answer: { status: 200, description: `The whole ${noun}`, schema: item },
  })
  return operations
}
